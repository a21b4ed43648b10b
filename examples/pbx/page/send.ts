/** What became of something that was sent: the answer, or what the server says against it. */
export interface Sent<T> {
  status: number;
  body: T | undefined;
  error: string;
  /** Requests left, of the limit that binds. */
  remaining: number | undefined;
  retryAfterSeconds: number | undefined;
}

/** Sends JSON for an account, or for none; every status is an answer, and so is a line that is down. */
export async function send<T>(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  account: string,
  body?: unknown,
): Promise<Sent<T>> {
  try {
    const response = await fetch(path, {
      method,
      headers: { 'Content-Type': 'application/json', ...(account !== '' && { 'X-Account-Id': account }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const said = (await response.json()) as T & { error?: string; detail?: string };
    return {
      status: response.status,
      body: response.ok ? said : undefined,
      error: response.ok ? '' : (said.error ?? said.detail ?? `The server answered ${response.status}`),
      remaining: numberOf(response.headers.get('X-RateLimit-Remaining')),
      retryAfterSeconds: numberOf(response.headers.get('Retry-After')),
    };
  } catch {
    const error = 'The server does not answer';
    return { status: 0, body: undefined, error, remaining: undefined, retryAfterSeconds: undefined };
  }
}

function numberOf(field: string | null): number | undefined {
  return field === null ? undefined : Number(field);
}
