import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FaultProxy, lossyBus, memoryRemoteTier, startFaultProxy } from '../src/testing/index.ts';

/** A server that says back what it hears. */
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
});
let proxy: FaultProxy;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy = await startFaultProxy({ port: (server.address() as { port: number }).port });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

function client() {
  const socket = connect(proxy.port, '127.0.0.1');
  sockets.push(socket);
  const state = { socket, heard: '', closed: false };
  socket.on('data', (bytes) => {
    state.heard += bytes;
  });
  socket.on('close', () => {
    state.closed = true;
  });
  socket.on('error', () => {});
  return state;
}

describe('a fault proxy', () => {
  test('lets through what is said, both ways', async () => {
    const one = client();
    one.socket.write('hello');
    await vi.waitFor(() => expect(one.heard).toBe('hello'));
    expect(proxy.connections).toBe(1);
  });

  test('hangs, and says afterwards what was said meanwhile', async () => {
    const one = client();
    one.socket.write('a');
    await vi.waitFor(() => expect(one.heard).toBe('a'));
    proxy.hang();
    one.socket.write('b');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(one).toMatchObject({ heard: 'a', closed: false });
    proxy.mend();
    await vi.waitFor(() => expect(one.heard).toBe('ab'));
  });

  test('refuses, until it is mended', async () => {
    const one = client();
    one.socket.write('a');
    await vi.waitFor(() => expect(one.heard).toBe('a'));
    proxy.refuse();
    await vi.waitFor(() => expect(one.closed).toBe(true));
    const two = client();
    await vi.waitFor(() => expect(two.closed).toBe(true));
    proxy.mend();
    const three = client();
    three.socket.write('c');
    await vi.waitFor(() => expect(three.heard).toBe('c'));
  });

  test('holds answers back on the connections that are named, and cuts those that are', async () => {
    const [bus, data] = [client(), client()];
    bus.socket.write('SUBSCRIBE');
    data.socket.write('GET');
    await vi.waitFor(() => expect([bus.heard, data.heard]).toEqual(['SUBSCRIBE', 'GET']));
    const letGo = proxy.hold(({ sent }) => sent.startsWith('GET'));
    bus.socket.write('1');
    data.socket.write('1');
    await vi.waitFor(() => expect(bus.heard).toBe('SUBSCRIBE1'));
    expect(data.heard).toBe('GET');
    letGo();
    await vi.waitFor(() => expect(data.heard).toBe('GET1'));
    proxy.cut(({ sent }) => sent.startsWith('SUBSCRIBE'));
    await vi.waitFor(() => expect(bus.closed).toBe(true));
    expect(data.closed).toBe(false);
    expect(proxy.connections).toBe(1);
  });
});

test('a lossy bus loses what it is told to lose, and nothing else', async () => {
  const tier = memoryRemoteTier();
  const heard: string[] = [];
  const bus = lossyBus(tier.coherence, ([key]) => key === 'b');
  bus.start({
    changed: (keys) => heard.push(...keys),
    changedAll: () => {},
    lost: () => heard.push('lost'),
    armed: () => heard.push('armed'),
  });
  for (const key of ['a', 'b', 'c']) await tier.delete([key]);
  tier.cutBus();
  expect(heard).toEqual(['armed', 'a', 'c', 'lost']);
  await bus.close();
});
