import type { Link } from './link.ts';

/** A PostgreSQL that answers. */
export interface PostgresServer {
  /** Of the superuser, in the database `postgres`. */
  readonly url: string;
  readonly port: number;
  /** The id of the server's first process; undefined for a container and for a server that somebody else started. */
  readonly pid: number | undefined;
  readonly link: Link;
  /**
   * Sends a signal to the server. Resolves when it has ended, or at once for SIGSTOP and SIGCONT, which freeze and
   * wake its sessions too.
   *
   * @throws Error when the server is that of `DATABASE_URL`.
   */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts the server again on the same port with the same data. Ends its sessions at once when it runs. */
  restart(): Promise<void>;
  /** Ends the server and removes its data. The server of `DATABASE_URL` is left alone. */
  stop(): Promise<void>;
}
