import type { Redis as Upstash } from '@upstash/redis';
import type { Redis as UpstashCloudflare } from '@upstash/redis/cloudflare';
import type { Cluster, Redis } from 'ioredis';
import type { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5';
import type { IoRedisLike } from '../src/index.ts';
import type { UpstashLike } from '../src/upstash/index.ts';

declare const redis: Redis;
declare const cluster: Cluster;
declare const redis5: Redis5;
declare const cluster5: Cluster5;

const clients: readonly IoRedisLike[] = [redis, cluster, redis5, cluster5];
void clients;

declare const upstash: Upstash;
declare const upstashCloudflare: UpstashCloudflare;

const restClients: readonly UpstashLike[] = [upstash, upstashCloudflare];
void restClients;
