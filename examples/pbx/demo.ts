import { parseArgs } from 'node:util';
import { createProgress } from './progress.ts';
import { type Running, run } from './run.ts';
import { playScenario } from './scenario/play.ts';
import { createRandom } from './seed/random.ts';
import { type DemoServices, startServices } from './services.ts';
import { sharedParts } from './shared.ts';
import { startSimulator } from './simulator.ts';
import { tableLines } from './table.ts';
import { startVisitors } from './visitors.ts';

const usage = `npm run demo -- [--once] [--no-redis] [--port <number>]

  --once       follow a row and a device without a browser, print what happened, and end
  --no-redis   everything in one process, without Redis
  --port       where the page is served; any free port if left out`;

const options = readOptions();
const progress = createProgress(process.stdout);
const startedAt = performance.now();

/** What has been started, in that order; Ctrl-C may come while the data is still being written. */
const started: (() => void | Promise<void>)[] = [];
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end(0));

try {
  const services = await startServices(options.redis, progress.show);
  started.push(services.stop);
  const running = await run({
    databaseUrl: services.databaseUrl,
    redis: services.redis,
    page: !options.once,
    port: options.port,
    onProgress: progress.show,
    onTrouble: tell,
  });
  started.push(running.close);
  progress.end();
  if (options.once) await playOnce(running);
  else await keepRunning(running, services);
} catch (error) {
  // What is being stopped fails on its way, and that is nobody's concern.
  if (!stopping) {
    progress.end();
    console.error(messageOf(error));
    end(1);
  }
}

async function playOnce({ origin }: Running): Promise<void> {
  try {
    const links = await playScenario(origin, '1');
    const rows = links.map(({ name, seen, tookMs }) => [name, seen, `${tookMs.toFixed(1)} ms`]);
    console.log(`\n${tableLines(['link', 'what was seen', 'took'], rows).join('\n')}`);
    console.log(`\nEverything did what it promises; ${seconds()} in all.`);
    end(0);
  } catch (error) {
    console.error(`\nA link is broken. ${messageOf(error)}`);
    end(1);
  }
}

async function keepRunning({ origin, switchboard }: Running, { databaseUrl }: DemoServices): Promise<void> {
  const { sql, shared } = switchboard;
  const onError = (error: unknown): void => tell('simulator', error);
  started.push(await startSimulator({ sql, presence: shared?.presence, random: createRandom(7), onError }));
  started.push(startVisitors({ origin, account: '1', random: createRandom(11), onError }));
  console.log(`\nReady after ${seconds()}. Open ${origin}`);
  if (!shared) console.log(`Off without Redis: ${sharedParts}.`);
  console.log(`The rows are in ${databaseUrl}`);
  console.log('Calls are being written; Ctrl-C stops everything.\n');
}

/** Stops what was started, the last first, and ends the process; asked a second time, it ends at once. */
function end(code: number): void {
  if (stopping) process.exit(130);
  stopping = true;
  stopStarted().then(
    () => process.exit(code),
    (error: unknown) => {
      console.error(messageOf(error));
      process.exit(1);
    },
  );
}

async function stopStarted(): Promise<void> {
  for (const stop of started.splice(0).reverse()) await stop();
}

function readOptions(): { once: boolean; redis: boolean; port: number } {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: 'boolean', default: false },
        'no-redis': { type: 'boolean', default: false },
        port: { type: 'string', default: '0' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 0 || port > 65_535)
      throw new Error(`--port: ${values.port} is no port`);
    return { once: values.once, redis: !values['no-redis'], port };
  } catch (error) {
    console.error(`${messageOf(error)}\n\n${usage}`);
    process.exit(2);
  }
}

function tell(part: string, error: unknown): void {
  if (!stopping) progress.note(`${part}: ${messageOf(error)}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function seconds(): string {
  return `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;
}
