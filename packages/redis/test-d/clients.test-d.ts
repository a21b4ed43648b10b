import type { Cluster, Redis } from 'ioredis';
import type { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5';
import type { IoRedisLike } from '../src/index.ts';

declare const redis: Redis;
declare const cluster: Cluster;
declare const redis5: Redis5;
declare const cluster5: Cluster5;

const clients: readonly IoRedisLike[] = [redis, cluster, redis5, cluster5];
void clients;
