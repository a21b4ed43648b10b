import { EventEmitter } from 'eventemitter3';

/**
 * Tells listeners what happened.
 *
 * A listener that throws hurts neither who tells nor another listener: its exception is thrown again in a microtask of
 * its own, where the process treats it as uncaught, as it does with any event target.
 */
export class Events<All extends object> {
  readonly #emitter = new EventEmitter();

  on<Name extends keyof All & string>(name: Name, listener: (event: All[Name]) => void): void {
    this.#emitter.on(name, listener);
  }

  off<Name extends keyof All & string>(name: Name, listener: (event: All[Name]) => void): void {
    this.#emitter.off(name, listener);
  }

  /** Whether it is worth making the event. */
  heard(name: keyof All & string): boolean {
    return this.#emitter.listenerCount(name) > 0;
  }

  emit<Name extends keyof All & string>(name: Name, event: All[Name]): void {
    for (const listener of this.#emitter.listeners(name)) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  removeAll(): void {
    this.#emitter.removeAllListeners();
  }
}
