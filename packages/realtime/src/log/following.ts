import type { RedisExecutor, RedisSubscriber } from '@cachekit/core';

/** Hears a channel. */
interface ChannelFollower {
  message(text: string): void;
  restored(): void;
}

/** Shares one subscriber connection among the followers of any number of channels. */
export interface Following {
  add(channel: string, follower: ChannelFollower): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

interface Channel {
  readonly followers: Set<ChannelFollower>;
  /** Resolves with the function that ends the subscription. */
  readonly subscribed: Promise<() => Promise<void>>;
}

/** Opens the connection with the first follower. */
export function createFollowing(redis: RedisExecutor): Following {
  const channels = new Map<string, Channel>();
  /** Subscriptions that are being ended, by channel: the next of that channel waits for it. */
  const ending = new Map<string, Promise<void>>();
  let subscriber: RedisSubscriber | undefined;

  function connection(): RedisSubscriber {
    if (subscriber) return subscriber;
    subscriber = redis.subscriber();
    subscriber.onState((state) => {
      if (state !== 'ready') return;
      for (const { followers } of [...channels.values()]) {
        for (const follower of [...followers]) follower.restored();
      }
    });
    return subscriber;
  }

  async function subscribe(channel: string, followers: Set<ChannelFollower>): Promise<() => Promise<void>> {
    await ending.get(channel);
    return connection().subscribe(channel, (text) => {
      for (const follower of [...followers]) follower.message(text);
    });
  }

  async function leave(name: string, channel: Channel, follower: ChannelFollower): Promise<void> {
    if (!channel.followers.delete(follower) || channel.followers.size > 0) return;
    if (channels.get(name) === channel) channels.delete(name);
    const end = (async () => {
      const unsubscribe = await channel.subscribed;
      await unsubscribe();
    })();
    const over = end.then(ignore, ignore);
    ending.set(name, over);
    try {
      await end;
    } finally {
      if (ending.get(name) === over) ending.delete(name);
    }
  }

  return {
    async add(name, follower) {
      let channel = channels.get(name);
      if (!channel) {
        const followers = new Set<ChannelFollower>();
        channel = { followers, subscribed: subscribe(name, followers) };
        channels.set(name, channel);
      }
      channel.followers.add(follower);
      try {
        await channel.subscribed;
      } catch (error) {
        if (channels.get(name) === channel) channels.delete(name);
        throw error;
      }
      const joined = channel;
      return () => leave(name, joined, follower);
    },
    async close() {
      const open = subscriber;
      subscriber = undefined;
      channels.clear();
      await open?.close();
    },
  };
}

function ignore(): void {}
