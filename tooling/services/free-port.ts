import { createServer } from 'node:net';

/**
 * A port number that nobody listens on at 127.0.0.1.
 *
 * Another process may take it before it is used, so whoever starts a server with it tries again with another.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('A listening socket without a port'));
      });
    });
  });
}
