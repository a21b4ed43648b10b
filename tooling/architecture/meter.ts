import type { SourceFacts } from './source-rules.ts';

/** The figures that are printed and judged by people: nothing fails on them. */
export function meter(facts: readonly SourceFacts[]): string[] {
  const lines = facts.reduce((sum, fact) => sum + fact.lines, 0);
  const perThousand = (count: number) => ((count / lines) * 1000).toFixed(1);
  const any = facts.reduce((sum, fact) => sum + fact.any, 0);
  const as = facts.reduce((sum, fact) => sum + fact.as, 0);
  const longest = [...facts].sort((a, b) => b.lines - a.lines).slice(0, 8);
  return [
    `any  ${any} (${perThousand(any)} per 1000 lines)`,
    `as   ${as} (${perThousand(as)} per 1000 lines)`,
    'longest files',
    ...longest.map(({ file, lines }) => `${String(lines).padStart(5)}  ${file}`),
  ];
}
