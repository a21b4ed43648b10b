import type { Link } from './link.ts';

/** A Redis that answers. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** The id of the server's process; undefined for a container and for a server that somebody else started. */
  readonly pid: number | undefined;
  readonly link: Link;
  /**
   * Sends a signal to the server. Resolves when it has ended, or at once for SIGSTOP and SIGCONT.
   *
   * @throws Error when the server is that of `REDIS_URL`.
   */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts the server again on the same port, empty. Stops it before when it runs. */
  restart(): Promise<void>;
  /** Ends the server and removes its folder. The server of `REDIS_URL` is left alone. */
  stop(): Promise<void>;
}
