import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds for a server to answer; far above what a start needs, because machines are busy. */
const patience = 20_000;

/** Waits for an answer to PING; false when `ended` says that none will come, or after 20 s. */
export async function waitForRedis(host: string, port: number, ended: () => boolean): Promise<boolean> {
  const deadline = performance.now() + patience;
  while (performance.now() < deadline) {
    if (ended()) return false;
    if (await answersPing(host, port)) return !ended();
    await sleep(10);
  }
  return false;
}

/** Whether the server takes commands; a refusal for want of a password counts. */
function answersPing(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => end(/^(\+PONG|-NOAUTH)/.test(data.toString())));
  });
}
