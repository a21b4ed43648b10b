import { backoffMs } from '../async/backoff.ts';
import { withDeadline } from '../async/with-deadline.ts';
import { type Duration, durationMs } from '../duration.ts';
import { ArgumentError, assertKnownOptions, ConfigurationError } from '../errors.ts';
import { type Clock, systemClock, type Timer } from '../ports/clock.ts';
import type { SqlListener } from '../ports/sql.ts';
import { quoteIdentifier } from './quote.ts';

/** The part of a `pg.Client` that a listener uses. */
export interface PgListenClientLike {
  connect(): Promise<unknown>;
  query(sql: string): Promise<unknown>;
  end(): Promise<unknown>;
  on(
    event: 'notification',
    listener: (message: { channel: string; payload?: string | undefined }) => void,
  ): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
}

/** Options of {@link createListener}. */
export interface ListenerOptions {
  /** Makes a new client that is not connected; called again for every reconnect. */
  readonly connect: () => PgListenClientLike;
  /** How the connection is found dead when nothing says so (a paused server, a vanished network). */
  readonly health?: {
    /**
     * Time between two questions to the server.
     * @defaultValue `'10s'`
     */
    readonly every?: Duration;
    /**
     * How long the server may take to answer, and to accept a connection.
     * @defaultValue `'5s'`
     */
    readonly timeout?: Duration;
  };
  readonly clock?: Clock;
  /** Uniform in `[0, 1)`, for the jitter of reconnects. */
  readonly random?: () => number;
}

/** A {@link SqlListener} that also says why it lost its connection. */
export interface PgListener extends SqlListener {
  /** Calls `listener` with every error of the connection; returns the function that unsubscribes it. */
  onError(listener: (error: unknown) => void): () => void;
}

const firstRetryMs = 100;
const lastRetryMs = 5_000;

/**
 * Hears NOTIFY over one connection of its own, for as long as the process wants.
 *
 * Connects at the first `listen`. When the connection is lost (closed, terminated, or silent for longer than
 * `health.every + health.timeout`) it says `lost`, reconnects for ever with a pause of 0.1 to 5 s, listens to every
 * channel again and says `ready`. What was sent meanwhile is gone, so at every `ready` the table is read again.
 *
 * The connection must be a direct one: a pooler in transaction mode accepts LISTEN and forgets it.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, a `connect` that is no function or a
 * health time that is not positive.
 * @example
 * const listener = createListener({ connect: () => new pg.Client({ connectionString: process.env.DATABASE_URL }) });
 * const stop = await listener.listen('news', (payload) => console.log(payload));
 * await stop();
 * await listener.close();
 */
export function createListener(options: ListenerOptions): PgListener {
  assertKnownOptions('createListener', options, ['connect', 'health', 'clock', 'random']);
  assertKnownOptions('createListener: health', options.health ?? {}, ['every', 'timeout']);
  if (typeof options.connect !== 'function') {
    throw new ConfigurationError('createListener: connect is a function that makes a new pg.Client');
  }
  return new Listener(options);
}

class Listener implements PgListener {
  readonly #connect: () => PgListenClientLike;
  readonly #everyMs: number;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #channels = new Map<string, Set<(payload: string) => void>>();
  readonly #stateListeners = new Set<(state: 'ready' | 'lost') => void>();
  readonly #errorListeners = new Set<(error: unknown) => void>();
  /** Calls of `listen` that wait for the connection. */
  readonly #waiting = new Set<{ resolve(): void; reject(error: unknown): void }>();
  #client: PgListenClientLike | undefined;
  /** The statement under way on the present connection: pg takes one at a time. */
  #asked: Promise<void> = Promise.resolve();
  #ready = false;
  #closed = false;
  #failures = 0;
  #timer: Timer | undefined;

  constructor(options: ListenerOptions) {
    this.#connect = options.connect;
    this.#everyMs = positive(durationMs(options.health?.every ?? '10s', 'health.every'), 'health.every');
    this.#timeoutMs = positive(
      durationMs(options.health?.timeout ?? '5s', 'health.timeout'),
      'health.timeout',
    );
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  async listen(channel: string, listener: (payload: string) => void): Promise<() => Promise<void>> {
    const quoted = quoteIdentifier(channel);
    if (this.#closed) throw new ArgumentError('The listener is closed');
    const listeners = this.#channels.get(channel) ?? new Set();
    // A function of its own, so that the same listener given twice is heard and ended twice.
    const hear = (payload: string): void => listener(payload);
    listeners.add(hear);
    this.#channels.set(channel, listeners);
    if (this.#ready) {
      // Asked also when somebody listens already: that LISTEN may not be confirmed yet. A failure costs the
      // connection, and the next one listens to every channel.
      await this.#ask(`listen ${quoted}`).catch(() => this.#becomesReady());
    } else {
      if (this.#client === undefined && this.#timer === undefined) this.#open();
      await this.#becomesReady();
    }
    return () => this.#unlisten(channel, hear);
  }

  onState(listener: (state: 'ready' | 'lost') => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  onError(listener: (error: unknown) => void): () => void {
    this.#errorListeners.add(listener);
    return () => this.#errorListeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
    this.#channels.clear();
    for (const waiter of this.#waiting) waiter.reject(closedMeanwhile());
    this.#waiting.clear();
    const client = this.#client;
    this.#client = undefined;
    this.#ready = false;
    if (client) await this.#inTime(client.end()).catch(() => undefined);
  }

  async #unlisten(channel: string, hear: (payload: string) => void): Promise<void> {
    const listeners = this.#channels.get(channel);
    if (!listeners?.delete(hear) || listeners.size > 0) return;
    this.#channels.delete(channel);
    if (this.#ready) await this.#ask(`unlisten ${quoteIdentifier(channel)}`).catch(() => undefined);
  }

  #becomesReady(): Promise<void> {
    if (this.#closed) return Promise.reject(closedMeanwhile());
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  }

  #open(): void {
    this.#timer = undefined;
    let client: PgListenClientLike;
    try {
      client = this.#connect();
    } catch (error) {
      this.#failed(undefined, error);
      return;
    }
    this.#client = client;
    this.#asked = Promise.resolve();
    client.on('error', (error) => this.#failed(client, error));
    client.on('end', () => this.#failed(client, new Error('The server closed the connection')));
    client.on('notification', (message) => this.#heard(message.channel, message.payload ?? ''));
    this.#prepare(client).catch((error) => this.#failed(client, error));
  }

  async #prepare(client: PgListenClientLike): Promise<void> {
    await this.#inTime(client.connect());
    // Channels may be added while the server answers: whatever is there at the end has been sent.
    const sent = new Set<string>();
    for (;;) {
      const channel = [...this.#channels.keys()].find((name) => !sent.has(name));
      if (channel === undefined) break;
      sent.add(channel);
      await this.#inTime(client.query(`listen ${quoteIdentifier(channel)}`));
    }
    if (this.#client !== client) return;
    this.#failures = 0;
    this.#ready = true;
    this.#scheduleHealth(client);
    for (const waiter of this.#waiting) waiter.resolve();
    this.#waiting.clear();
    for (const listener of [...this.#stateListeners]) listener('ready');
  }

  #scheduleHealth(client: PgListenClientLike): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#ask('select 1').then(
        () => {
          if (this.#client === client) this.#scheduleHealth(client);
        },
        () => undefined,
      );
    }, this.#everyMs);
  }

  /** A statement on the present connection; one that is not answered in time, or fails, costs the connection. */
  async #ask(sql: string): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    const asked = this.#asked.then(async () => {
      if (client !== this.#client) throw new Error('The connection was lost');
      await this.#inTime(client.query(sql));
    });
    this.#asked = asked.catch(() => undefined);
    try {
      await asked;
    } catch (error) {
      this.#failed(client, error);
      throw error;
    }
  }

  #heard(channel: string, payload: string): void {
    const listeners = this.#channels.get(channel);
    if (listeners === undefined) return;
    for (const hear of [...listeners]) hear(payload);
  }

  #inTime<T>(answer: Promise<T>): Promise<T> {
    const late = (): Error => new Error(`No answer within ${this.#timeoutMs} ms`);
    return withDeadline(answer, this.#timeoutMs, this.#clock, late);
  }

  #failed(client: PgListenClientLike | undefined, error: unknown): void {
    if (this.#closed || client !== this.#client) return;
    this.#client = undefined;
    // With a question under way pg drops the socket at once; else it says good-bye. Either may never be answered.
    client?.end().catch(() => undefined);
    const wasReady = this.#ready;
    this.#ready = false;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(
      () => this.#open(),
      backoffMs(this.#failures, firstRetryMs, lastRetryMs, this.#random),
    );
    this.#failures += 1;
    for (const listener of [...this.#errorListeners]) listener(error);
    if (wasReady) for (const listener of [...this.#stateListeners]) listener('lost');
  }
}

function closedMeanwhile(): ArgumentError {
  return new ArgumentError('The listener was closed');
}

function positive(ms: number, name: string): number {
  if (ms > 0) return ms;
  throw new ConfigurationError(`createListener: ${name} is more than 0`);
}
