import { describe, expect, it } from 'vitest';
import { BatchedCalls } from '../src/tier/batched-calls.ts';

interface Item {
  readonly id: number;
  readonly group: string;
  readonly keys: number;
  readonly length: number;
}

function item(id: number, over: Partial<Item> = {}): Item {
  return { id, group: '', keys: 1, length: 10, ...over };
}

function recorded(send?: (items: readonly Item[]) => Promise<readonly number[]>) {
  const sent: number[][] = [];
  const calls = new BatchedCalls<Item, number>({
    groupOf: ({ group }) => group,
    keysOf: ({ keys }) => keys,
    lengthOf: ({ length }) => length,
    send: (items) => {
      sent.push(items.map(({ id }) => id));
      return send?.(items) ?? Promise.resolve(items.map(({ id }) => id * 10));
    },
  });
  return { sent, calls };
}

describe('calls of one tick', () => {
  it('travel together, and each gets its own reply', async () => {
    const { sent, calls } = recorded();
    const later = Promise.resolve()
      .then(() => {})
      .then(() => calls.call(item(3)));
    expect(await Promise.all([calls.call(item(1)), calls.call(item(2)), later])).toEqual([10, 20, 30]);
    expect(sent).toEqual([[1, 2, 3]]);
    await calls.call(item(4));
    expect(sent).toEqual([[1, 2, 3], [4]]);
  });

  it('travel by group, where each group has a slot of its own', async () => {
    const { sent, calls } = recorded();
    const asked = [item(1, { group: 'a' }), item(2, { group: 'b' }), item(3, { group: 'a' })];
    expect(await Promise.all(asked.map((one) => calls.call(one)))).toEqual([10, 20, 30]);
    expect(sent).toEqual([[1, 3], [2]]);
  });

  it('never hold more items, keys or characters than one call may', async () => {
    const { sent, calls } = recorded();
    const many = Array.from({ length: 200 }, (_, index) => item(index));
    await Promise.all(many.map((one) => calls.call(one)));
    expect(Math.max(...sent.map(({ length }) => length))).toBeLessThanOrEqual(64);
    expect(sent.flat()).toEqual(many.map(({ id }) => id));
    sent.length = 0;
    await Promise.all([1, 2, 3].map((id) => calls.call(item(id, { keys: 200 }))));
    expect(sent).toEqual([[1, 2], [3]]);
    sent.length = 0;
    await Promise.all([1, 2, 3].map((id) => calls.call(item(id, { length: 200_000 }))));
    expect(sent).toEqual([[1], [2], [3]]);
    sent.length = 0;
    await calls.call(item(1, { length: 10_000_000 }));
    expect(sent).toEqual([[1]]);
  });

  it('fail together if their call fails, and not with those of another group', async () => {
    const { calls } = recorded((items) =>
      items[0]?.group === 'down' ? Promise.reject(new Error('down')) : Promise.resolve([1]),
    );
    const answers = await Promise.allSettled([
      calls.call(item(1, { group: 'down' })),
      calls.call(item(2, { group: 'down' })),
      calls.call(item(3, { group: 'up' })),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  });
});
