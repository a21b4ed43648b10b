import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { areaNamed, areas } from '../areas.ts';
import { scaleOf } from '../pg/scale.ts';
import { concurrently } from '../runner/contender.ts';
import { figure } from '../runner/figure.ts';
import { compare, measure } from '../runner/measure.ts';
import { median } from '../runner/median.ts';
import { asJson, asResults, asTable } from '../runner/print.ts';
import { quantile } from '../runner/quantile.ts';
import { shuffle } from '../runner/shuffle.ts';
import { takeTurns } from '../runner/take-turns.ts';

describe('quantile()', () => {
  test('is the value that so many are not above, whatever the order', () => {
    expect(quantile([3], 0.99)).toBe(3);
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2);
    expect(quantile([4, 1, 3, 2], 1)).toBe(4);
    expect(quantile([4, 1, 3, 2], 0)).toBe(1);
    expect(() => quantile([], 0.5)).toThrow(RangeError);
  });
});

describe('takeTurns()', () => {
  test('runs each once per round, in changing order, and keeps what each returned', async () => {
    const order: string[] = [];
    let state = 0;
    const random = (): number => {
      state = (state * 7 + 3) % 11;
      return state / 11;
    };
    const way = (name: string) => async () => {
      order.push(name);
      return `${name}${order.filter((ran) => ran === name).length}`;
    };
    const results = await takeTurns({ a: way('a'), b: way('b'), c: way('c') }, { rounds: 6, random });
    expect(results.get('b')).toEqual(['b1', 'b2', 'b3', 'b4', 'b5', 'b6']);
    const rounds = Array.from({ length: 6 }, (_, round) => order.slice(3 * round, 3 * round + 3));
    for (const round of rounds) expect([...round].sort()).toEqual(['a', 'b', 'c']);
    expect(new Set(rounds.map((round) => round.join(''))).size).toBeGreaterThan(1);
  });
});

describe('median()', () => {
  test('is the middle, whatever the order, and the mean of two', () => {
    expect(median([3])).toBe(3);
    expect(median([10, 1, 2])).toBe(2);
    expect(median([100, 1, 2, 4])).toBe(3);
    expect(median([9, 10, 11])).toBe(10);
    expect(() => median([])).toThrow(RangeError);
  });
});

describe('shuffle()', () => {
  test('keeps everything and gives every order', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 1_000; i++) seen.add(shuffle(['a', 'b', 'c'], Math.random).join(''));
    expect([...seen].sort()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
  });
});

describe('compare()', () => {
  test('divides round by round, so that a slow moment that meets both does not count', () => {
    expect(compare([2, 200, 4], [1, 100, 2])).toEqual({ ours: 4, peer: 2, ratio: 2 });
    expect(compare([1, 9, 10], [10, 9, 1])).toEqual({ ours: 9, peer: 9, ratio: 1 });
  });

  test('refuses samples of different runs', () => {
    expect(() => compare([1, 2], [1])).toThrow();
  });
});

describe('figure()', () => {
  const measured = { ours: 12.345, peer: 10, ratio: 1.2345 };

  test('has exactly the fields that are promised', () => {
    expect(Object.keys(figure('x', measured, { of: 'ratio', atMost: 2 }))).toEqual([
      'name',
      'ours',
      'peer',
      'ratio',
      'target',
      'ok',
    ]);
  });

  test('judges the ratio or ours, from above or from below, before it rounds', () => {
    expect(figure('x', measured, { of: 'ratio', atMost: 1.2345 })).toMatchObject({ ratio: 1.23, ok: true });
    expect(figure('x', measured, { of: 'ratio', atMost: 1.234 }).ok).toBe(false);
    expect(figure('x', measured, { of: 'ratio', atLeast: 1.235 }).ok).toBe(false);
    expect(figure('x', measured, { of: 'ratio', atLeast: 1.2 })).toMatchObject({ target: 1.2, ok: true });
    expect(figure('x', measured, { of: 'ours', atMost: 12 })).toMatchObject({
      ours: 12.3,
      target: 12,
      ok: false,
    });
  });

  test('without a peer nothing is said about a ratio, but ours can be judged', () => {
    expect(figure('x', { ours: 5 }, { of: 'ratio', atMost: 2 })).toEqual({
      name: 'x',
      ours: 5,
      peer: null,
      ratio: null,
      target: 2,
      ok: null,
    });
    expect(figure('x', { ours: 5 }, { of: 'ours', atMost: 4 })).toMatchObject({ peer: null, ok: false });
  });

  test('refuses a target that bounds nothing, or both ways', () => {
    expect(() => figure('x', measured, { of: 'ratio' })).toThrow();
    expect(() => figure('x', measured, { of: 'ratio', atMost: 2, atLeast: 1 })).toThrow();
  });
});

describe('measure()', () => {
  test('tells a contender that works many times as hard, round by round', async () => {
    const spin = (units: number) => (operations: number) => {
      let x = 0;
      for (let i = 0; i < operations * units; i++) x = (x * 31 + i) | 0;
      return x;
    };
    const samples = await measure({
      contenders: [
        { name: 'one', run: spin(4_000) },
        { name: 'hundred', run: spin(400_000) },
      ],
      rounds: 9,
      sliceMs: 5,
    });
    const { ratio } = compare(samples.get('hundred')?.timeUs ?? [], samples.get('one')?.timeUs ?? []);
    expect(samples.get('one')?.timeUs.length).toBe(9);
    // Loose, because neighbours on the machine stretch a turn; a runner that mixes contenders up says about 1.
    expect(ratio).toBeGreaterThan(5);
  });

  test('runs every contender once per round, after a run that does not count, each round in another order', async () => {
    const order: string[] = [];
    const contender = (name: string) => ({
      name,
      run: async () => {
        order.push(name);
        await new Promise((resolve) => setTimeout(resolve, 2));
      },
    });
    await measure({ contenders: [contender('a'), contender('b')], rounds: 40, sliceMs: 1 });
    const rounds = order.slice(-160).join('').match(/..../g) ?? [];
    expect(new Set(rounds)).toEqual(new Set(['aabb', 'bbaa']));
  });

  test('counts the CPU of a server per operation', async () => {
    let used = 0;
    const samples = await measure({
      contenders: [
        {
          name: 'a',
          run: async (operations) => {
            used += operations * 7;
            await new Promise((resolve) => setTimeout(resolve, 2));
          },
        },
      ],
      rounds: 3,
      sliceMs: 1,
      serverCpuUs: async () => used,
    });
    for (const us of samples.get('a')?.serverCpuUs ?? []) expect(us).toBeCloseTo(7);
  });

  test('refuses two contenders of the same name', async () => {
    const twice = { name: 'a', run: () => new Promise((resolve) => setTimeout(resolve, 2)) };
    await expect(measure({ contenders: [twice, twice], sliceMs: 1 })).rejects.toThrow(/same name/);
  });
});

describe('concurrently()', () => {
  test('does each operation once, with so many under way and no more', async () => {
    const done: number[] = [];
    let underWay = 0;
    let most = 0;
    await concurrently(8, async (index) => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      done.push(index);
    })(100);
    expect(most).toBe(8);
    expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});

describe('what is printed', () => {
  const figures = [
    figure('fast enough, us', { ours: 1, peer: 2, ratio: 0.5 }, { of: 'ratio', atMost: 1 }),
    figure('no peer, us', { ours: 1 }, { of: 'ratio', atMost: 1 }),
  ];

  test('one JSON object per line', () => {
    const lines = asJson(figures).split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(figures);
  });

  test('what is kept: ratios, no times of a machine, nothing without its peer', () => {
    const kept = JSON.parse(
      asResults('pnpm bench x', { Node: '26' }, [
        ...figures,
        figure('an exponent', { ours: 0.1 }, { of: 'ours', atMost: 1 }),
      ]),
    );
    expect(kept).toEqual({
      command: 'pnpm bench x',
      versions: { Node: '26' },
      figures: [
        { name: 'fast enough, us', ratio: 0.5, target: 1, ok: true },
        { name: 'an exponent', ours: 0.1, target: 1, ok: true },
      ],
    });
  });

  test('a table whose columns stand under each other', () => {
    const lines = asTable(figures).split('\n');
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[1]).toMatch(/^fast enough, us +1 +2 +0.5 +1 +yes$/);
    expect(lines[2]).toMatch(/^no peer, us +1 +- +- +1 +-$/);
  });
});

describe('the command', () => {
  test('an unknown area is an error that lists the areas', async () => {
    expect(() => areaNamed('nope')).toThrow(Object.keys(areas).join(', '));
    expect(() => areaNamed(undefined)).toThrow(/there are: /);
    expect(() => areaNamed('constructor')).toThrow(/there are: /);
    const run = fileURLToPath(new URL('../run.ts', import.meta.url));
    const outcome = promisify(execFile)(process.execPath, [run, 'nope']);
    await expect(outcome).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('No area "nope"; there are: '),
    });
  });

  test('a size is a number, of thousands or of millions', async () => {
    const run = fileURLToPath(new URL('../run.ts', import.meta.url));
    const outcome = promisify(execFile)(process.execPath, [
      '--conditions=@cachekit/source',
      run,
      'pg',
      '--rows=some',
    ]);
    await expect(outcome).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--rows takes 100k, 1m, 5m; got some'),
    });
    expect([20, 100_000, 1_000_000, 5_000_000].map((rows) => scaleOf(rows).users)).toEqual([
      4, 50, 500, 2_500,
    ]);
  });

  test('every area that is listed can be loaded', async () => {
    for (const name of Object.keys(areas)) expect(typeof (await areaNamed(name)())).toBe('function');
  });
});
