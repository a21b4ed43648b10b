import { readFileSync } from 'node:fs';
import type { Results } from '../../bench/runner/print.ts';

interface Row {
  readonly label: string;
  /** Beginning of the figure's name. */
  readonly figure: string;
}

const parts: readonly (readonly [title: string, rows: readonly Row[]])[] = [
  [
    'How fresh: beside refreshing the whole view CONCURRENTLY, again and again',
    [
      {
        label: 'half of the commits seen after',
        figure: 'commit to fresh at 200 commits/s to a REFRESH CONCURRENTLY loop, p50',
      },
      {
        label: '99 % of them seen after',
        figure: 'commit to fresh at 200 commits/s to a REFRESH CONCURRENTLY loop, p99',
      },
      { label: '20 syncs at once, all fresh after', figure: '20 syncs at once' },
    ],
  ],
  [
    'How exact: reading <name>_live while 100 groups are changed',
    [
      {
        label: 'of one user, beside the rollup',
        figure: 'exact read of one user, 100 groups changed, to the same',
      },
      {
        label: 'of one user, beside the rows',
        figure: 'exact read of one user, 100 groups changed, to the query',
      },
      { label: 'totals, beside the rows', figure: 'exact totals per day' },
    ],
  ],
  [
    'At what price: writers beside writers without triggers, the refresher beside the loop',
    [
      {
        label: 'CPU of an INSERT of 1 row',
        figure: 'INSERT of 1 row that marks to one without triggers, backend',
      },
      { label: 'of 100 rows in as many groups', figure: 'INSERT of 100 rows' },
      { label: 'CPU of an UPDATE of 1 row', figure: 'UPDATE of 1 row' },
      {
        label: 'WAL of an INSERT of 1 row',
        figure: 'INSERT of 1 row that marks to one without triggers, bytes',
      },
      { label: 'CPU of the refresher, 200 commits/s', figure: 'CPU of the refreshing backends' },
    ],
  ],
];

const ours = '#3b7dd8';
const less = 1 / 1_000;
const more = 10;
const left = 250;
const width = 760;
const rowHeight = 24;

/** What `pnpm bench pg --save` keeps. */
export function readResults(): Results {
  return JSON.parse(readFileSync(new URL('../../bench/results/pg.json', import.meta.url), 'utf8')) as Results;
}

/** A bar per figure from "the same as the peer" to its ratio, on a scale of powers of ten. */
export function drawFreshExactPrice({ figures, command, versions }: Results): string {
  const x = (ratio: number): number => scale(ratio, less, more, left, width - 60);
  const drawn: string[] = [];
  let top = 18;
  for (const [title, rows] of parts) {
    drawn.push(`<text x="8" y="${top}" font-size="14" font-weight="bold">${escaped(title)}</text>`);
    top += 12;
    const rowsFrom = top;
    for (const { label, figure } of rows) {
      const found = figures.find(({ name }) => name.startsWith(figure));
      if (found?.ratio === undefined) throw new Error(`bench/results/pg.json has no ratio of "${figure}"`);
      const [from, to] = [x(1), x(found.ratio)].sort((a, b) => a - b) as [number, number];
      drawn.push(
        `<text x="8" y="${top + 14}">${label}</text>`,
        `<rect x="${from.toFixed(1)}" y="${top + 4}" width="${Math.max(1, to - from).toFixed(1)}" height="13" fill="${found.ratio > 1 ? '#d9a441' : ours}"/>`,
        `<text x="${(found.ratio > 1 ? to + 6 : from - 6).toFixed(1)}" y="${top + 15}" text-anchor="${found.ratio > 1 ? 'start' : 'end'}">${spoken(found.ratio)}</text>`,
      );
      top += rowHeight;
    }
    drawn.push(`<path d="M${x(1).toFixed(1)} ${rowsFrom}V${top}" stroke="#7a7f87" stroke-dasharray="5 4"/>`);
    top += 20;
  }
  const ticks = [0.001, 0.01, 0.1, 1, 10].map(
    (tick) => `<text x="${x(tick).toFixed(1)}" y="${top}" text-anchor="middle">${spoken(tick)}</text>`,
  );
  const source = `<text x="8" y="${top + 22}" font-size="11">${command}: ${saidVersions(versions)}</text>`;
  return svg('What fresh and exact cost, as ratios', top + 32, [...drawn, ...ticks, source]);
}

/** What a refresh costs by how many groups changed, beside one of the whole view. */
export function drawChangedGroups({ figures, command, versions }: Results): string {
  const points = figures.flatMap(({ name, ratio }) => {
    const [, changed, all] =
      /^refresh of (\d+) changed groups of (\d+) to REFRESH CONCURRENTLY/.exec(name) ?? [];
    return changed === undefined || ratio === undefined
      ? []
      : [{ changed: Number(changed), all: Number(all), ratio }];
  });
  const all = points[0]?.all;
  if (all === undefined || points.length < 3)
    throw new Error('bench/results/pg.json has no refreshes by size');
  const x = (groups: number): number => scale(groups, 1, all, 70, width - 30);
  const [top, bottom] = [40, 250];
  const y = (ratio: number): number => scale(ratio, less, more, bottom, top);
  const at = ({ changed, ratio }: (typeof points)[number]): string =>
    `${x(changed).toFixed(1)} ${y(ratio).toFixed(1)}`;
  return svg('Cost of a refresh by changed groups', bottom + 56, [
    `<text x="8" y="18" font-size="14" font-weight="bold">Time of a refresh by changed groups, of ${all}; 1 is REFRESH CONCURRENTLY</text>`,
    ...[0.001, 0.01, 0.1, 1, 10].map(
      (tick) =>
        `<path d="M70 ${y(tick).toFixed(1)}H${width - 30}" stroke="#7a7f87" stroke-opacity="${tick === 1 ? 1 : 0.25}" ${tick === 1 ? 'stroke-dasharray="5 4"' : ''}/>
<text x="62" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${spoken(tick)}</text>`,
    ),
    `<path d="M${points.map(at).join('L')}" fill="none" stroke="${ours}" stroke-width="2"/>`,
    ...points.map(
      (point) =>
        `<circle cx="${x(point.changed).toFixed(1)}" cy="${y(point.ratio).toFixed(1)}" r="4" fill="${ours}"/>
<text x="${x(point.changed).toFixed(1)}" y="${(y(point.ratio) - 9).toFixed(1)}" text-anchor="middle">${spoken(point.ratio)}</text>
<text x="${x(point.changed).toFixed(1)}" y="${bottom + 20}" text-anchor="middle">${point.changed}</text>`,
    ),
    `<text x="8" y="${bottom + 46}" font-size="11">${command}: ${saidVersions(versions)}</text>`,
  ]);
}

/** Where a value is between two places, by its logarithm. */
function scale(value: number, least: number, most: number, from: number, to: number): number {
  const share = Math.log(value / least) / Math.log(most / least);
  return from + Math.min(1, Math.max(0, share)) * (to - from);
}

/** Two digits, as a fraction where it is less than the peer: a reader counts in "times". */
function spoken(ratio: number): string {
  if (ratio >= 0.95) return `${Number(ratio.toPrecision(2))}`;
  return `1/${Number((1 / ratio).toPrecision(2))}`;
}

function saidVersions(versions: Results['versions']): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}

function escaped(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function svg(title: string, height: number, drawn: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#7a7f87">
<title>${title}</title>
${drawn.join('\n')}
</svg>
`;
}
