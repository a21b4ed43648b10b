/** Whether `error` is what Redis replied, and not a trouble of the connection. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}
