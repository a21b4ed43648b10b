/** When requests are sent, in milliseconds from the begin, by the name of the pattern. The limit is 20 per second. */
export const traces: Readonly<Record<string, readonly number[]>> = {
  'bursts at random': bursts(),
  'around the edges of whole seconds': edges((second) => second),
  'around the edges of the first window': edges((second, offset) => second + offset),
  'a late burst, then steady': late(),
  'steady at the limit': Array.from({ length: 120 }, (_, i) => i * 50),
};

export const traceLimit = 20;
export const traceWindowMs = 1_000;

/** One and a half times the limit, on for a while and off for a while; the same every time. */
function bursts(): number[] {
  const sent: number[] = [];
  let seed = 7;
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  for (let at = 0; at < 6_000; at += 200 + 500 * random()) {
    const end = at + 100 + 600 * random();
    for (; at < end; at += (1_000 / 30) * 2 * random()) sent.push(at);
  }
  return sent;
}

/** Twenty requests just before each edge, and twenty just after it. */
function edges(edge: (second: number, offset: number) => number): number[] {
  const sent: number[] = [];
  for (let second = 1_000; second <= 5_000; second += 2_000) {
    for (let i = 0; i < 20; i++) sent.push(edge(second, 40) - 90 + i * 3);
    for (let i = 0; i < 20; i++) sent.push(edge(second, 40) + 15 + i * 3);
  }
  return [0, ...sent];
}

function late(): number[] {
  const sent: number[] = [];
  for (let second = 0; second < 6; second += 2) {
    for (let i = 0; i < 20; i++) sent.push(second * 1_000 + 900 + i * 4);
    for (let i = 0; i < 30; i++) sent.push(second * 1_000 + 1_000 + i * 33);
  }
  return sent.sort((a, b) => a - b);
}
