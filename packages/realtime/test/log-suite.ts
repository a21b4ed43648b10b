import { describe, expect, it } from 'vitest';
import type { EventLog, LogTail, NewLogRecord } from '../src/index.ts';
import { eventually, upTo } from './collect.ts';

const record = (n: number, origin?: string): NewLogRecord => ({ type: 't', body: `{"data":${n}}`, origin });

/** What every event log promises; `make` gives logs that share their content, with room for `length` events. */
export function eventLogSuite(
  name: string,
  make: (options: { length: number }) => Promise<() => EventLog>,
): void {
  describe(name, () => {
    const start = async (length = 1_000): Promise<EventLog> => (await make({ length }))();

    it('numbers the records of a tenant 1, 2, 3, ... in the order of the appends', async () => {
      const log = await start();
      const first = await log.append('a', [record(1), record(2)]);
      const second = await log.append('a', [record(3)]);
      expect(first).toMatchObject({ appended: 2, repeated: 0, position: { offset: 2 } });
      expect(second.position).toEqual({ epoch: first.position.epoch, offset: 3 });
      const read = await log.readAfter('a', { epoch: first.position.epoch, offset: 0 }, 10);
      expect(read).toMatchObject({ state: 'rows', top: { offset: 3 } });
      expect(read.state === 'rows' && read.rows).toEqual(
        upTo(3).map((n) => ({ offset: n, type: 't', body: `{"data":${n}}` })),
      );
    });

    it('keeps tenants apart: numbers, rows and epochs', async () => {
      const log = await start();
      const a = await log.append('a', [record(1)]);
      const b = await log.append('b:{}*\n', [record(2)]);
      expect(b.position.offset).toBe(1);
      expect(a.position.epoch).not.toBe(b.position.epoch);
      expect(await log.readAfter('a', b.position, 10)).toMatchObject({ state: 'gap', reason: 'epoch' });
    });

    it('gives at most as many rows as asked for, without a hole', async () => {
      const log = await start();
      const { position } = await log.append(
        'a',
        upTo(10).map((n) => record(n)),
      );
      const read = await log.readAfter('a', { epoch: position.epoch, offset: 4 }, 3);
      expect(read.state === 'rows' && read.rows.map(({ offset }) => offset)).toEqual([5, 6, 7]);
      expect(read.top.offset).toBe(10);
      expect(await log.readAfter('a', position, 3)).toEqual({ state: 'rows', rows: [], top: position });
    });

    it('never gives what is left after a trimmed part, but a gap', async () => {
      const log = await start(10);
      const first = await log.append('a', [record(1)]);
      const { epoch } = first.position;
      for (let n = 2; n <= 500; n += 1) await log.append('a', [record(n)]);
      expect(await log.readAfter('a', { epoch, offset: 1 }, 1_000)).toMatchObject({
        state: 'gap',
        reason: 'trimmed',
        top: { offset: 500 },
      });
      const kept = await log.readAfter('a', { epoch, offset: 490 }, 100);
      expect(kept.state === 'rows' && kept.rows.map(({ offset }) => offset)).toEqual(
        upTo(10).map((n) => n + 490),
      );
    });

    it('takes a position beyond its end for one of another log', async () => {
      const log = await start();
      const { position } = await log.append('a', [record(1)]);
      const ahead = await log.readAfter('a', { epoch: position.epoch, offset: 2 }, 10);
      expect(ahead).toMatchObject({ state: 'gap', reason: 'epoch', top: position });
      const foreign = await log.readAfter('a', { epoch: 'zzz', offset: 1 }, 10);
      expect(foreign).toMatchObject({ state: 'gap', reason: 'epoch', top: position });
    });

    it('appends the records of a change once, in whatever batch the change comes again', async () => {
      const log = await start();
      await log.append('a', [record(1, 's:5'), record(2, 's:5'), record(3, 's:7')]);
      // A change that was committed later may have the smaller sequence.
      const again = await log.append('a', [
        record(4, 's:4'),
        record(1, 's:5'),
        record(2, 's:5'),
        record(3, 's:7'),
      ]);
      expect(again).toMatchObject({ appended: 1, repeated: 3, position: { offset: 4 } });
      const none = await log.append('a', [record(3, 's:7')]);
      expect(none).toEqual({ appended: 0, repeated: 1, position: again.position });
      expect(await log.append('b', [record(3, 's:7')])).toMatchObject({ appended: 1 });
    });

    it('says where an empty log is, and the first record follows there', async () => {
      const log = await start();
      const position = await log.position('a');
      expect(position.offset).toBe(0);
      const { position: after } = await log.append('a', [record(1)]);
      expect(after).toEqual({ epoch: position.epoch, offset: 1 });
    });

    it('tells followers of every instance every append in order, and nothing of other tenants', async () => {
      const open = await make({ length: 100 });
      const [one, two] = [open(), open()];
      const heard: LogTail[][] = [[], []];
      const ends = await Promise.all(
        [one, two].map((log, index) =>
          log.follow('a', { appended: (tail) => heard[index]?.push(tail), restored: () => {} }),
        ),
      );
      const { position } = await one.append('a', [record(1), record(2)]);
      await two.append('b', [record(9)]);
      await two.append('a', [record(3)]);
      for (const tails of heard) {
        await eventually(() => expect(tails).toHaveLength(2));
        expect(
          tails.map(({ epoch, first, records }) => [epoch, first, records.map(({ body }) => body)]),
        ).toEqual([
          [position.epoch, 1, ['{"data":1}', '{"data":2}']],
          [position.epoch, 3, ['{"data":3}']],
        ]);
      }
      await ends[0]?.();
      await one.append('a', [record(4)]);
      await eventually(() => expect(heard[1]).toHaveLength(3));
      expect(heard[0]).toHaveLength(2);
    });

    it('knows every tenant of which somebody may hold a position', async () => {
      const log = await start();
      await log.position('a');
      await log.position('b:{}*\n');
      const tenants: string[] = [];
      for await (const some of log.tenants()) tenants.push(...some);
      expect(tenants.sort()).toEqual(['a', 'b:{}*\n']);
    });

    it('keeps numbers and rows right when many append at once', async () => {
      const open = await make({ length: 1_000 });
      const [one, two] = [open(), open()];
      await Promise.all(upTo(200).map((n) => (n % 2 ? one : two).append('a', [record(n)])));
      const { epoch } = await one.position('a');
      const read = await two.readAfter('a', { epoch, offset: 0 }, 1_000);
      const rows = read.state === 'rows' ? read.rows : [];
      expect(rows.map(({ offset }) => offset)).toEqual(upTo(200));
      expect(new Set(rows.map(({ body }) => body)).size).toBe(200);
    });
  });
}
