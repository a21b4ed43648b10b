import { createServer } from 'node:net';

/** Below those from which Linux and macOS take the ports of outgoing connections. */
const lowest = 15_000;
const highest = 32_000;

/**
 * A port number that nobody listens on at 127.0.0.1.
 *
 * It is drawn from ports that no connection gets by itself, so that hardly ever two who start servers at the same time
 * have the same one, or a client has it before the server does. Whoever starts a server with it tries again with another
 * if it is taken after all.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port from ${lowest} to ${highest}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
