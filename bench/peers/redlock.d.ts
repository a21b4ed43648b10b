/** What is used of redlock, which does not say where its types are. */
declare module 'redlock' {
  interface Settings {
    readonly retryCount: number;
    readonly retryDelay: number;
    readonly retryJitter: number;
  }

  class Redlock {
    constructor(clients: readonly object[], settings: Settings);
    acquire(resources: readonly string[], durationMs: number): Promise<{ release(): Promise<unknown> }>;
  }

  export default Redlock;
}
