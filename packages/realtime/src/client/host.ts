/** Something that fires events, such as `window`. */
export interface HostTargetLike {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** What of a browser's global object is used; everything may be missing. */
export interface HostLike {
  readonly addEventListener?: HostTargetLike['addEventListener'];
  readonly removeEventListener?: HostTargetLike['removeEventListener'];
  readonly document?: HostTargetLike & { readonly visibilityState?: string };
}

/** What a device tells about itself. */
export interface HostSignals {
  online(): void;
  offline(): void;
  /** It may have slept: look at the clock now. */
  awake(): void;
}

/** Listens to the device; returns the function that ends it. Without a browser nothing is ever heard. */
export function watchHost(host: HostLike, signals: HostSignals): () => void {
  const { document } = host;
  const ends: (() => void)[] = [];
  const listen = (target: HostLike | HostTargetLike | undefined, type: string, run: () => void): void => {
    if (typeof target?.addEventListener !== 'function') return;
    target.addEventListener(type, run);
    ends.push(() => target.removeEventListener?.(type, run));
  };
  listen(host, 'online', signals.online);
  listen(host, 'offline', signals.offline);
  listen(host, 'pageshow', signals.awake);
  listen(document, 'visibilitychange', () => {
    if (document?.visibilityState !== 'hidden') signals.awake();
  });
  return () => {
    for (const end of ends) end();
  };
}
