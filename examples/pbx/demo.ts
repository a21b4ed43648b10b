import { parseArgs } from 'node:util';
import { createProgress } from './progress.ts';
import { run } from './run.ts';
import { followOneRow } from './scenario.ts';
import { createRandom } from './seed/random.ts';
import { startServices } from './services.ts';
import { startSimulator } from './simulator.ts';
import { tableLines } from './table.ts';

const { values } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    'no-redis': { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
  },
});

const progress = createProgress(process.stdout);
const startedAt = performance.now();
const services = await startServices(!values['no-redis'], progress.show).catch((error: unknown) =>
  fail(error),
);
const running = await run({
  databaseUrl: services.databaseUrl,
  redisUrl: services.redisUrl,
  page: !values.once,
  port: Number(values.port),
  onProgress: progress.show,
  onTrouble: (part, error) => progress.note(`${part}: ${messageOf(error)}`),
}).catch(async (error: unknown) => {
  await services.stop();
  return fail(error);
});

if (values.once) await once();
else await keepRunning();

async function once(): Promise<void> {
  progress.end();
  let code = 0;
  try {
    const links = await followOneRow(running.origin, '1');
    const rows = links.map(({ name, seen, tookMs }) => [name, seen, `${tookMs.toFixed(1)} ms`]);
    console.log(`\n${tableLines(['link', 'what was seen', 'took'], rows).join('\n')}`);
    console.log(`\nOne committed row went the whole way; ${seconds()} in all.`);
  } catch (error) {
    console.error(`\nA link is broken. ${messageOf(error)}`);
    code = 1;
  }
  await stopAll();
  process.exit(code);
}

async function keepRunning(): Promise<void> {
  const stopSimulator = await startSimulator({
    sql: running.switchboard.sql,
    presence: running.switchboard.presence,
    random: createRandom(7),
    onError: (error) => progress.note(`simulator: ${messageOf(error)}`),
  });
  progress.end();
  console.log(
    `\nReady after ${seconds()}. Open ${running.origin}\nCalls are being written; Ctrl-C stops everything.\n`,
  );
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(130);
    stopping = true;
    stopSimulator();
    stopAll().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

async function stopAll(): Promise<void> {
  await running.close();
  await services.stop();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function seconds(): string {
  return `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;
}

function fail(error: unknown): never {
  progress.end();
  console.error(messageOf(error));
  process.exit(1);
}
