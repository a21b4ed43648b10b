import type { ChangeEvent, ChangeSink } from '@cachekit/core';
import { installOutbox, pgExecutor, wakeSql } from '@cachekit/core/postgres';
import pg from 'pg';

/** Table `work`, every change of whose rows goes to the outbox `change` by a row trigger. */
export async function installWork(pool: pg.Pool): Promise<void> {
  await installOutbox(pgExecutor(pool), 'change');
  await pool.query(`
    create table work (id int primary key, n int not null);
    create function work_change() returns trigger language plpgsql as $$
    begin
      insert into cachekit.change (tenant, source, operation, key, new)
      values ('t', 'work', lower(tg_op), jsonb_build_object('id', new.id), to_jsonb(new));
      ${wakeSql('change')};
      return new;
    end $$;
    create trigger work_change after insert or update on work for each row execute function work_change()`);
}

/** A sink that keeps what it was given, in order: the sequence of each change, or `gap:<reason>`. */
export class Recorder implements ChangeSink {
  readonly seen: string[] = [];
  readonly changes: ChangeEvent[] = [];
  readonly errors: unknown[] = [];
  /** Runs before a batch is recorded. */
  before: (changes: readonly ChangeEvent[], signal: AbortSignal | undefined) => Promise<void> =
    async () => {};

  async batch(changes: readonly ChangeEvent[], signal?: AbortSignal): Promise<void> {
    await this.before(changes, signal);
    this.changes.push(...changes);
    this.seen.push(...changes.map((change) => change.sequence));
  }

  async gap(reason: string): Promise<void> {
    this.seen.push(`gap:${reason}`);
  }

  failed(error: unknown): void {
    this.errors.push(error);
  }
}

/** The sequences of everything that is committed, in order. */
export async function committed(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ seq: string }>('select seq from cachekit.change order by seq');
  return rows.map((row) => row.seq);
}

/** Sorted as numbers. */
export function sorted(sequences: readonly string[]): string[] {
  return [...sequences].sort((a, b) => Number(a) - Number(b));
}

/** A promise and what settles it. */
export function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** A pool whose lost connections do not end the test run. */
export function poolOf(url: string, max = 20): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max });
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}
