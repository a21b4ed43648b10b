import type { CoherenceMode, CoherenceSink } from '@cachekit/core';

/** What the memory of a process was told, in order. */
export class Told implements CoherenceSink {
  readonly events: string[] = [];
  readonly keys = new Set<string>();
  readonly versions: (string | undefined)[] = [];
  /** The last of `armed` and `lost`. */
  state = '';

  changed(keys: readonly string[], version?: string): void {
    this.events.push(`changed ${keys.join(' ')}`);
    this.versions.push(version);
    for (const key of keys) this.keys.add(key);
  }
  changedAll(): void {
    this.events.push('changed all');
  }
  lost(): void {
    this.events.push('lost');
    this.state = 'lost';
  }
  armed(): void {
    this.events.push('armed');
    this.state = 'armed';
  }
  resumed(): void {
    this.events.push('resumed');
    this.state = 'armed';
  }
  fellBack(to: CoherenceMode | undefined): void {
    this.events.push(`fell back to ${to ?? 'nothing'}`);
  }

  forget(): void {
    this.events.length = 0;
    this.versions.length = 0;
    this.keys.clear();
  }
}
