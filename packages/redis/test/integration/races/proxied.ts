import type { RemoteTier } from '@cachekit/core';
import {
  type FaultProxy,
  type ProxiedConnection,
  type RaceFixture,
  type RaceProcess,
  type SharedStore,
  startFaultProxy,
} from '@cachekit/core/testing';
import { uniqueNamespace } from '@cachekit/services/vitest';

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a client goes instead of the address, `host:port`, that a server names. */
type NatMap = Record<string, Address>;

/** How a process is made that reaches its servers through proxies, in a namespace of its own. */
export type Connect = (
  through: NatMap,
  namespace: string,
  commandTimeout: number,
) => { readonly tier: RemoteTier; close(): Promise<unknown> };

/** Whether a connection hears what others change. */
const isBus = ({ sent }: ProxiedConnection): boolean => /subscribe/i.test(sent);
const isData = (connection: ProxiedConnection): boolean => !isBus(connection);

/**
 * A store for one run of a race: each process has a proxy of its own before every server.
 *
 * @param outside - What plays a foreign client.
 */
export async function proxiedStore(
  servers: readonly Address[],
  connect: Connect,
  outside: Omit<SharedStore, 'open'>,
): Promise<RaceFixture> {
  const namespace = uniqueNamespace();
  const opened: (() => Promise<unknown>)[] = [];
  return {
    namespace,
    shared: {
      ...outside,
      open: async (timeoutMs) => {
        const proxies = await Promise.all(servers.map((server) => startFaultProxy(server)));
        const through: NatMap = {};
        for (const [index, { host, port }] of servers.entries()) {
          through[`${host}:${port}`] = { host: '127.0.0.1', port: (proxies[index] as FaultProxy).port };
        }
        const { tier, close } = connect(through, namespace, timeoutMs);
        // In this order: a proxy would keep the process waiting.
        opened.push(async () => {
          await close();
          await Promise.all(proxies.map((proxy) => proxy.close()));
        });
        return { tier, link: linkOf(proxies) };
      },
    },
    close: async () => void (await Promise.all(opened.splice(0).map((close) => close()))),
  };
}

/** The link over all proxies of a process. */
function linkOf(proxies: readonly FaultProxy[]): RaceProcess['link'] {
  const each = (run: (proxy: FaultProxy) => void) => () => {
    for (const proxy of proxies) run(proxy);
  };
  return {
    refuse: each((proxy) => proxy.refuse()),
    hang: each((proxy) => proxy.hang()),
    mend: each((proxy) => proxy.mend()),
    cutBus: each((proxy) => proxy.cut(isBus)),
    hold: () => {
      const letGo = proxies.map((proxy) => proxy.hold(isData));
      return () => {
        for (const release of letGo) release();
      };
    },
    connections: () => proxies.reduce((sum, proxy) => sum + proxy.connections, 0),
  };
}
