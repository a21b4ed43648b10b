import type { IoRedisConnectionLike } from './ioredis-like.ts';

/** A node of a cluster client. */
interface AskingNode {
  asking(): Promise<unknown>;
}

/**
 * Hears what becomes of `ASKING` on the nodes of a cluster client that is not connected yet.
 *
 * ioredis sends it before a command whose slot is on the move and forgets it, so a node that goes away meanwhile would end the
 * process by a rejection that nobody handles. The command behind it tells its caller.
 */
export function heardAsking(cluster: IoRedisConnectionLike): IoRedisConnectionLike {
  cluster.on('+node', (node: AskingNode) => {
    const { asking } = node;
    node.asking = () => {
      const asked = asking.call(node);
      asked.catch(ignore);
      return asked;
    };
  });
  return cluster;
}

function ignore(): void {}
