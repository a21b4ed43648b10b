/** An `AbortController` that is made when somebody asks for its signal: most reads end without anybody asking. */
export class Cancellation {
  aborted = false;
  reason: unknown;
  /** Called once, when it aborts. */
  onAbort: ((reason: unknown) => void) | undefined;
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.aborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#controller?.abort(reason);
    this.onAbort?.(reason);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
}
