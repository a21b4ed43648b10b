import { describe, expect, it } from 'vitest';
import { mostArrivals, TransientMap } from '../src/async/transient-map.ts';

describe('TransientMap', () => {
  it.each([
    ['few at once', 3],
    ['more at once than it moves', 2 * mostArrivals],
  ])('has what a Map has whatever comes and goes: %s', (_, atOnce) => {
    const map = new TransientMap<number, string>();
    const like = new Map<number, string>();
    for (let key = 0; key < 5 * mostArrivals; key++) {
      map.set(key, `value ${key}`);
      like.set(key, `value ${key}`);
      const gone = key - atOnce;
      expect(map.delete(gone)).toBe(like.delete(gone));
      if (key % 97 > 0) continue;
      map.set(key, 'again');
      like.set(key, 'again');
      expect(map.size).toBe(like.size);
      expect([...map.entries()]).toEqual([...like]);
    }
    expect([...map.keys()]).toEqual([...like.keys()]);
    for (const [key, value] of like) expect(map.get(key)).toBe(value);
  });
});
