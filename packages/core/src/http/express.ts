/** The part of a request of Express, Connect or `node:http` that is read. */
export interface NodeRequestLike {
  readonly method?: string | undefined;
  /** Path and query, relative to where a router is mounted. */
  readonly url?: string | undefined;
  /** Path and query as the client sent them; Express alone has it. */
  readonly originalUrl?: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** The part of a response of Express, Connect or `node:http` that is written. */
export interface NodeResponseLike {
  statusCode: number;
  readonly writableFinished: boolean;
  getHeader(name: string): number | string | readonly string[] | undefined;
  setHeader(name: string, value: string | string[]): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: every version of the clients types what it takes differently
  end(body?: any): unknown;
  on(event: 'close', listener: () => void): unknown;
}

/**
 * Makes a handler for Express (and Connect, and `node:http`) of a fetch-style one such as that of `withCache()`.
 *
 * The fetch-style handler gets the request of Express as its second argument, with whatever middleware put there. Bodies of
 * requests are not passed on; those of responses are sent whole, so this is not for streams. A client that goes away aborts
 * `request.signal`. What the handler throws goes to `next`. `Vary` is added to what other middleware said; every other
 * header of the response replaces one that is there. `request.url` has the host that the client names, or `localhost` where that
 * is none.
 *
 * @example
 * const app = express();
 * app.get(
 *   '/api/devices',
 *   expressHandler(
 *     withCache(cache, {
 *       key: (request) => keys.devices({ tenant: tenantOf(request) }),
 *       load: (request, { signal }) => loadDevices(tenantOf(request), signal),
 *     }),
 *   ),
 * );
 */
export function expressHandler<Incoming = NodeRequestLike>(
  handler: (request: Request, incoming: Incoming) => Promise<Response>,
): (
  incoming: Incoming & NodeRequestLike,
  outgoing: NodeResponseLike,
  next?: (error: unknown) => void,
) => void {
  return (incoming, outgoing, next) => {
    const gone = new AbortController();
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) gone.abort();
    });
    answer(handler, incoming, outgoing, gone.signal).catch((error: unknown) => {
      // Nobody is there to be told.
      if (gone.signal.aborted) return;
      if (next !== undefined) return next(error);
      outgoing.statusCode = 500;
      outgoing.end();
    });
  };
}

/** Methods of which `fetch` has no request. */
const unspeakable: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK']);

async function answer<Incoming>(
  handler: (request: Request, incoming: Incoming) => Promise<Response>,
  incoming: Incoming & NodeRequestLike,
  outgoing: NodeResponseLike,
  signal: AbortSignal,
): Promise<void> {
  if (unspeakable.has((incoming.method ?? 'GET').toUpperCase())) {
    outgoing.statusCode = 501;
    outgoing.end();
    return;
  }
  const response = await handler(fetchRequest(incoming, signal), incoming);
  const body = response.body === null ? undefined : new Uint8Array(await response.arrayBuffer());
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) {
    if (name === 'set-cookie') continue;
    const before = name === 'vary' ? outgoing.getHeader(name) : undefined;
    outgoing.setHeader(name, before === undefined ? value : `${String(before)}, ${value}`);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies);
  outgoing.end(body);
}

function fetchRequest(incoming: NodeRequestLike, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    // Names that begin with a colon are those of HTTP/2 itself.
    if (value === undefined || name.startsWith(':')) continue;
    for (const each of typeof value === 'string' ? [value] : value) headers.append(name, each);
  }
  const path = incoming.originalUrl ?? incoming.url ?? '/';
  // Put together as text: resolved, a path such as "//elsewhere/" would be another host.
  return new Request(`${originOf(headers)}${path.startsWith('/') ? path : `/${path}`}`, {
    method: incoming.method ?? 'GET',
    headers,
    signal,
  });
}

/** Of the host the client names, unless that says more than a host: a path in it would stand before that of the request. */
function originOf(headers: Headers): string {
  const host = headers.get('host') ?? '';
  const origin = `http://${host}`;
  return /^[\w.:[\]-]+$/.test(host) && URL.canParse(origin) ? origin : 'http://localhost';
}
