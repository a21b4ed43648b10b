/** Whether `error` is what Redis replied, and not a trouble of the connection. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** What Redis replied, where the client did not see it as an error because a script handed it on. */
export function replyError(message: string): Error {
  const error = new Error(message);
  error.name = 'ReplyError';
  return error;
}
