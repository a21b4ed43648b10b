import type { RemoteTier } from '../../ports/remote-tier.ts';

/** How the connection of one process is broken and mended. */
export interface RaceLink {
  /** The server is gone: nothing connects. */
  refuse(): void;
  /** The server is stopped: nothing answers. */
  hang(): void;
  /** All is well again. */
  mend(): void;
  /** Keeps answers to reads back, and no push, until the function it gives is called. */
  hold(): () => void;
  /** Breaks the connection that hears what others change; it may come back by itself. */
  cutBus(): void;
  /** How many connections are open. */
  connections(): number;
}

/** One process of a race. */
export interface RaceProcess {
  readonly tier: RemoteTier;
  readonly link: RaceLink;
}

/** A store on which races are run, fresh for every run of a race. */
export interface RaceFixture {
  /** The namespace that no other run uses. */
  readonly namespace: string;
  /** What processes share. Absent: memory is all there is, and the races between processes do not apply. */
  readonly shared?: SharedStore;
  /** Closes what the fixture opened; caches are closed before. */
  close(): Promise<void>;
}

/** A store that several processes share. */
export interface SharedStore {
  /** One more process on the same store, with connections of its own, whose calls settle within `timeoutMs`. */
  open(timeoutMs: number): Promise<RaceProcess>;
  /** Writes any text at a key, as a foreign client might. */
  write(key: string, text: string): Promise<void>;
  /** Removes a key, as a foreign client might. */
  remove(key: string): Promise<void>;
  /** Puts something at a key that is no string. */
  spoil(key: string): Promise<void>;
}

/** The link of a process that has none. */
export const noLink: RaceLink = {
  refuse: () => {},
  hang: () => {},
  mend: () => {},
  hold: () => () => {},
  cutBus: () => {},
  connections: () => 0,
};
