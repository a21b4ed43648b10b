export type Row = { part: string; ok: boolean; seconds: number; budget: number | undefined };

/** The parts of a run with their times, slow ones marked. */
export function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ part }) => part.length), 5);
  const lines = rows.map(({ part, ok, seconds, budget }) => {
    const verdict = ok ? 'ok    ' : 'FAILED';
    const limit = budget === undefined ? '' : `  of ${String(budget).padStart(3)} s`;
    const slow = budget !== undefined && seconds > budget ? '  over its budget' : '';
    return `${part.padEnd(width)}  ${verdict}  ${seconds.toFixed(1).padStart(6)} s${limit}${slow}`;
  });
  const total = rows.reduce((sum, { seconds }) => sum + seconds, 0);
  lines.push(`${'total'.padEnd(width)}          ${total.toFixed(1).padStart(6)} s`);
  return lines.join('\n');
}
