/** The listener of each name. */
type Named<Events> = Record<keyof Events, (event: never) => void>;

/** Calls listeners; one that throws hurts nobody else, its exception is thrown again in a microtask of its own. */
export class Listeners<Events extends Named<Events>> {
  readonly #byName = new Map<keyof Events, Set<(event: never) => void>>();

  on<Name extends keyof Events>(name: Name, listener: Events[Name]): void {
    const listeners = this.#byName.get(name) ?? new Set();
    listeners.add(listener);
    this.#byName.set(name, listeners);
  }

  off<Name extends keyof Events>(name: Name, listener: Events[Name]): void {
    this.#byName.get(name)?.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, event: Parameters<Events[Name]>[0]): void {
    for (const listener of [...(this.#byName.get(name) ?? [])]) {
      try {
        // A listener is stored under the name whose events it takes.
        listener(event as never);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
