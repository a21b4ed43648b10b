import type { SqlExecutor } from '@cachekit/core';
import { aliasesIn, type JoinText, joinsOf } from './joins.ts';
import { understood } from './probe.ts';
import type { ReadQuery, Rewriting } from './rewriting.ts';
import { joined, type SelectText, selectText, unwrapped, wordsSplit } from './select-text.ts';

/** A condition on the joined side of a LEFT JOIN that stands in WHERE, where it drops the rows LEFT JOIN was to keep. */
export async function undoneOuterJoins(
  sql: SqlExecutor,
  { query }: ReadQuery,
): Promise<readonly Rewriting[]> {
  const parsed = selectText(query);
  if (parsed?.where === undefined) return [];
  for (const join of joinsOf(parsed.from)) {
    const moved = join.left ? movedCondition(parsed, join) : undefined;
    if (moved === undefined || (await understood(sql, moved)) === undefined) continue;
    const reason = `${join.relation} is joined by LEFT JOIN and its rows are chosen in WHERE, so what has rows there, but none of the chosen, disappears from the view. The condition belongs into ON.`;
    return [{ defect: 'outer-join-undone', reason, query: moved }];
  }
  return [];
}

function movedCondition(parsed: SelectText, join: JoinText): string | undefined {
  const moved: string[] = [];
  const kept: string[] = [];
  for (const conjunct of wordsSplit(unwrapped(parsed.where ?? ''), 'and')) {
    const parts = wordsSplit(unwrapped(conjunct), 'or');
    const chosen = parts.filter((part) => !isNull(part));
    const about = aliasesIn(chosen.join(' '));
    // `x IS NULL` alone asks for what has no row there, which is what LEFT JOIN is for.
    const onlyHere = about.size === 1 && about.has(join.alias) && !/ IS NULL\b/.test(chosen.join(' '));
    const nulls = parts.filter(isNull);
    if (onlyHere && nulls.every((part) => aliasesIn(part).has(join.alias))) moved.push(chosen.join(' OR '));
    else kept.push(conjunct);
  }
  if (moved.length === 0) return undefined;
  const conditions = [join.condition, ...moved.map((one) => `(${one})`)].join(' AND ');
  return joined({
    ...parsed,
    from: `${join.before}${join.naming} ON (${conditions})${join.after}`,
    where: kept.length === 0 ? undefined : kept.join(' AND '),
  });
}

function isNull(part: string): boolean {
  return /^[\w".]+ IS NULL$/.test(unwrapped(part));
}
