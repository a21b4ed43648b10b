import {
  fixedWindow,
  gcra,
  type LimitState,
  type Policy,
  slidingWindow,
} from '../../packages/ratelimit/src/index.ts';

const limit = 10;
const windowMs = 10_000;
const endMs = 40_000;

const rows: readonly (readonly [string, Policy])[] = [
  ['fixedWindow', fixedWindow({ limit, window: windowMs })],
  ['gcra', gcra({ limit, window: windowMs })],
  ['slidingWindow', slidingWindow({ limit, window: windowMs })],
];

/** One request, two bursts around the end of its window, and then three requests in two seconds. */
function requests(): number[] {
  const sent = [0];
  for (let at = 8_400; at < 10_000; at += 110) sent.push(at);
  for (let at = 10_000; at < 11_600; at += 110) sent.push(at);
  for (let at = 12_000; at < endMs; at += 667) sent.push(at);
  return sent;
}

interface Outcome {
  readonly at: number;
  readonly passed: boolean;
}

/** What the functions of the package say to the requests. */
function outcomes(policy: Policy): Outcome[] {
  let state: LimitState | undefined;
  return requests().map((at) => {
    // Not from 0, which is no time of day.
    const step = policy.algorithm.next(state, policy, 1, at + 1_000_000);
    if (step.fits) state = step;
    return { at, passed: step.fits };
  });
}

const left = 156;
const width = 760;
const rowHeight = 150;
const chartHeight = 96;
const x = (ms: number): string => (left + (ms / endMs) * (width - left - 16)).toFixed(1);
const y = (top: number, count: number): string => (top + chartHeight - (count / 20) * chartHeight).toFixed(1);

/** Requests that passed within the last window, over time, for each algorithm and the same requests. */
export function drawRateLimitAlgorithms(): string {
  const parts: string[] = [];
  for (const [i, [name, policy]] of rows.entries())
    parts.push(drawRow(name, outcomes(policy), 34 + i * rowHeight));
  const height = 34 + rows.length * rowHeight + 18;
  const seconds = [0, 10, 20, 30, 40].map(
    (s) => `<text x="${x(s * 1_000)}" y="${height - 8}" text-anchor="middle">${s} s</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#7a7f87">
<title>Requests that passed within the last 10 s, limit 10 per 10 s</title>
<text x="${left}" y="16">passed within the last 10 s (limit 10); below: each request, passed or denied</text>
${parts.join('\n')}
${seconds.join('')}
</svg>
`;
}

function drawRow(name: string, seen: readonly Outcome[], top: number): string {
  const passed = seen.filter((each) => each.passed).map(({ at }) => at);
  const within = (ms: number): number => passed.filter((at) => at <= ms && at > ms - windowMs).length;
  const edges = [...new Set([0, ...passed, ...passed.map((at) => at + windowMs), endMs])]
    .filter((ms) => ms <= endMs)
    .sort((a, b) => a - b);
  let path = `M${x(0)} ${y(top, 0)}`;
  for (const ms of edges) path += `H${x(ms)}V${y(top, within(ms))}`;
  const most = Math.max(...edges.map(within));
  const ticks = seen.map(
    ({ at, passed: yes }) =>
      `<path d="M${x(at)} ${top + chartHeight + 8}v${yes ? 14 : 7}" stroke="${yes ? '#2f9e63' : '#d9534f'}" stroke-width="1.6"/>`,
  );
  return `<g>
<text x="8" y="${top + 14}" font-size="14" font-weight="bold">${name}</text>
<text x="8" y="${top + 32}">at most ${most}</text>
<path d="M${x(0)} ${y(top, limit)}H${x(endMs)}" stroke="#d9a441" stroke-dasharray="5 4"/>
<text x="${left - 6}" y="${y(top, limit)}" dy="4" text-anchor="end">10</text>
<text x="${left - 6}" y="${y(top, 20)}" dy="4" text-anchor="end">20</text>
<path d="${path}" fill="none" stroke="#3b7dd8" stroke-width="2"/>
${ticks.join('')}
</g>`;
}
