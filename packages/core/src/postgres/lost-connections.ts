/** The part of a `pg.Pool` that tells of its connections, and the part of a connection that tells that it is lost. */
export interface LosablePool {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(
    event: 'acquire',
    listener: (client: { on(event: 'error', listener: (error: Error) => void): unknown }) => void,
  ): unknown;
}

/** Pools, and connections of theirs, whose `error` is heard. */
const heard = new WeakSet<object>();

/**
 * Hears of every connection of the pool that is lost, idle or checked out: unheard, its `error` event ends the process. The
 * next query says what happened.
 *
 * From the moment in which the pool hands it out: a server can end a session in the packet that makes it ready, before
 * whoever waits for the connection has it.
 */
export function hearLostConnections(pool: LosablePool): void {
  if (heard.has(pool)) return;
  heard.add(pool);
  pool.on('error', ignore);
  pool.on('acquire', (client) => {
    if (heard.has(client)) return;
    heard.add(client);
    client.on('error', ignore);
  });
}

function ignore(): void {}
