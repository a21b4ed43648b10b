const patienceMs = 30_000;

/** How long it took until `check` was true. @throws Error if that took longer than anybody would wait. */
export async function timeUntil(check: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await check())) {
    if (performance.now() - began > patienceMs) throw new Error('Waited for half a minute in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - began;
}
