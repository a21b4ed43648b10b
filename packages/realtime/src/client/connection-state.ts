/**
 * Where a client is.
 *
 * | state        | means                                                                    |
 * | ------------ | ------------------------------------------------------------------------ |
 * | `idle`       | never connected                                                          |
 * | `connecting` | the request is on its way                                                |
 * | `replaying`  | the stream is open and brings what was missed                            |
 * | `live`       | the stream is open and everything until now has been received            |
 * | `stale`      | the stream was silent for too long; it is being replaced                 |
 * | `backoff`    | the stream ended or failed; the next attempt waits                       |
 * | `offline`    | the device says that it has no network; attempts are rare                |
 * | `denied`     | the server refuses this client; only `connect()` tries again             |
 * | `closed`     | closed; only `connect()` opens again                                     |
 */
export type ConnectionState =
  | 'idle'
  | 'connecting'
  | 'replaying'
  | 'live'
  | 'stale'
  | 'backoff'
  | 'offline'
  | 'denied'
  | 'closed';

/** What can happen to a client. */
export type ConnectionEvent =
  /** The caller wants a stream. */
  | 'connect'
  /** It is time for the next attempt. */
  | 'attempt'
  /** The stream has begun behind the newest event. */
  | 'behind'
  /** The newest event that the stream began with has come. */
  | 'caughtUp'
  /** Nothing has come for too long. */
  | 'silent'
  /** The request failed, the stream ended, or the server is not ready. */
  | 'failed'
  | 'refused'
  | 'offline'
  | 'online'
  | 'close';

type Row = Readonly<Record<ConnectionEvent, ConnectionState>>;

const row = (state: ConnectionState, next: Partial<Row>): Row => ({
  connect: state,
  attempt: state,
  behind: state,
  caughtUp: state,
  silent: state,
  failed: state,
  refused: state,
  offline: state,
  online: state,
  close: 'closed',
  ...next,
});

const open = { silent: 'stale', failed: 'backoff', refused: 'denied', offline: 'offline' } as const;
const waiting = { attempt: 'connecting', online: 'connecting' } as const;

/** The state that follows, for every state and every event; an event without a meaning in a state changes nothing. */
export const transitions: Readonly<Record<ConnectionState, Row>> = {
  idle: row('idle', { connect: 'connecting' }),
  connecting: row('connecting', { ...open, behind: 'replaying', caughtUp: 'live' }),
  replaying: row('replaying', { ...open, caughtUp: 'live' }),
  live: row('live', open),
  stale: row('stale', { ...waiting, offline: 'offline' }),
  backoff: row('backoff', { ...waiting, offline: 'offline' }),
  offline: row('offline', waiting),
  denied: row('denied', { connect: 'connecting' }),
  closed: row('closed', { connect: 'connecting', close: 'closed' }),
};
