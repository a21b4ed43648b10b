import { createServer } from 'node:net';

/** Below those from which Linux and macOS take the ports of outgoing connections. */
const lowest = 15_000;
const highest = 32_000;

/**
 * A port number that nobody listens on at 127.0.0.1.
 *
 * It is drawn from ports that no connection gets by itself, so that hardly ever two who start servers at the same time
 * have the same one, or a client has it before the server does.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port from ${lowest} to ${highest}`);
}

/**
 * Starts a server on a free port, and on another one if that was taken before the server had it.
 *
 * @param taken - What the error of `start` says then.
 */
export async function onFreePort<Server>(
  taken: string,
  start: (port: number) => Promise<Server>,
): Promise<Server> {
  for (let attempts = 5; ; attempts--) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempts === 1 || !String(error).includes(taken)) throw error;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
