import type { Cache, CacheKey, CacheTag } from '@cachekit/core';
import { expect } from 'vitest';

/** A subject of {@link Promises}: one row of a database, its key and its tag. */
export interface Subject {
  readonly key: CacheKey<number>;
  readonly tag: CacheTag;
}

/**
 * Reads and writes at random, and checks each read against what is promised: whoever invalidated a value, and whoever
 * reads past memory, never has an older one.
 */
export class Promises {
  reads = 0;
  written = 0;
  refused = 0;
  readonly #subjects: readonly Subject[];
  readonly #database = new Map<Subject, number>();
  /** By subject and by who wrote: what a read of theirs must not be older than. */
  readonly #floors = new Map<Subject, Map<Cache, number>>();
  readonly #writing = new Set<Subject>();
  readonly #wrong: string[] = [];
  #going = true;

  constructor(subjects: readonly Subject[]) {
    this.#subjects = subjects;
    for (const subject of subjects) this.#floors.set(subject, new Map());
  }

  /** Lets a process with a memory read and write until {@link stop}. */
  async live(cache: Cache): Promise<void> {
    await Promise.all([
      this.#lane(() => this.#read(cache, (floors) => floors.get(cache) ?? 0), 5),
      this.#lane(() => this.#write(cache), 40),
    ]);
  }

  /** Lets a process without a memory read until {@link stop}: all its reads reach Redis. */
  async watch(cache: Cache): Promise<void> {
    await this.#lane(() => this.#read(cache, (floors) => Math.max(0, ...floors.values())), 5);
  }

  stop(): void {
    this.#going = false;
  }

  expectKept(): void {
    expect(this.#wrong).toEqual([]);
    expect(this.reads).toBeGreaterThan(50);
    expect(this.written).toBeGreaterThan(10);
  }

  /** The newest version that was written. */
  newest(subject: Subject): number {
    return this.#database.get(subject) ?? 0;
  }

  async #lane(step: () => Promise<void>, pauseMs: number): Promise<void> {
    while (this.#going) {
      await step();
      await new Promise((resolve) => setTimeout(resolve, Math.random() * pauseMs));
    }
  }

  async #read(cache: Cache, floorOf: (floors: ReadonlyMap<Cache, number>) => number): Promise<void> {
    const subject = this.#pick();
    const floor = floorOf(this.#floors.get(subject) as Map<Cache, number>);
    const load = async (): Promise<number> => {
      const version = this.newest(subject);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
      return version;
    };
    const version = await cache.getOrLoad(subject.key, load);
    this.reads++;
    if (version < floor) this.#wrong.push(`${subject.key.wire}: read ${version}, invalidated below ${floor}`);
  }

  async #write(cache: Cache): Promise<void> {
    const subject = this.#pick();
    // Two writers of one row are ordered by the database; a set() that races with another is not.
    if (this.#writing.has(subject)) return;
    this.#writing.add(subject);
    const version = this.newest(subject) + 1;
    this.#database.set(subject, version);
    try {
      const choice = Math.random();
      if (choice < 0.5) await cache.invalidate(subject.key);
      else if (choice < 0.8) await cache.invalidateTags(subject.tag);
      else await cache.set(subject.key, version);
      this.#floors.get(subject)?.set(cache, version);
      this.written++;
    } catch (error) {
      expect(error).toMatchObject({ code: 'TIER_FAILED' });
      this.refused++;
    } finally {
      this.#writing.delete(subject);
    }
  }

  #pick(): Subject {
    return this.#subjects[Math.floor(Math.random() * this.#subjects.length)] as Subject;
  }
}
