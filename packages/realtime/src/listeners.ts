/** Functions that want to hear of something, each shielded from the failures of the others. */
export interface Listeners<Args extends readonly unknown[]> {
  /** Adds `listener`; the function returned takes exactly this registration away, however often it is called. */
  add(listener: (...args: Args) => void): () => void;
  /** Calls all in the order they came, those present when it began; a throwing one is given to `onThrow`. */
  emit(...args: Args): void;
  readonly size: number;
}

/** Makes an empty list of listeners; `onThrow` gets what a listener throws. */
export function createListeners<Args extends readonly unknown[]>(
  onThrow: (error: unknown) => void,
): Listeners<Args> {
  // Entries and not the functions themselves, so that one function added twice is two registrations.
  let entries: readonly { readonly listener: (...args: Args) => void }[] = [];
  return {
    add(listener) {
      const entry = { listener };
      entries = [...entries, entry];
      return () => {
        entries = entries.filter((each) => each !== entry);
      };
    },
    emit(...args) {
      for (const entry of entries) {
        try {
          entry.listener(...args);
        } catch (error) {
          onThrow(error);
        }
      }
    },
    get size() {
      return entries.length;
    },
  };
}
