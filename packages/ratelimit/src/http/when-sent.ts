/** What is used of a response of `node:http` to see when it is over. */
export interface ClosingResponse {
  readonly closed?: boolean;
  readonly destroyed?: boolean;
  /** One of HTTP/2 tells by its stream alone that it is over. */
  readonly stream?: { readonly destroyed?: boolean };
  /** Calls the listener when the response has been sent, or the client has gone. */
  once?(event: 'close', listener: () => void): unknown;
}

/** Calls `done` when the response has been sent, or the client has gone. */
export function whenClosed(response: ClosingResponse, done: () => void): void {
  if (response.closed || response.destroyed || response.stream?.destroyed) done();
  else response.once?.('close', done);
}

/**
 * The same response, which calls `done` when its body has been read to the end, has failed, or nobody reads it any more.
 *
 * @param request - Its signal is aborted when the client has gone.
 */
export function whenSent(response: Response, request: Request, done: () => void): Response {
  const { body, status } = response;
  const { method, signal } = request;
  // Servers send no body to `HEAD`, and most of them neither read nor cancel it.
  const isUnread = body === null || body.locked || method === 'HEAD';
  // What is no answer to be read, such as an upgrade, cannot be made anew.
  if (isUnread || signal.aborted || status < 200 || status > 599) {
    done();
    return response;
  }
  const reader = body.getReader();
  const end = (): void => {
    signal.removeEventListener('abort', end);
    done();
  };
  signal.addEventListener('abort', end);
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done: isOver, value } = await reader.read();
          if (!isOver) controller.enqueue(value);
          else {
            controller.close();
            end();
          }
        } catch (error) {
          controller.error(error);
          end();
        }
      },
      cancel(reason) {
        end();
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(stream, response);
}
