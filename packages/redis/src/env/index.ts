export { type RedisEnvironment, type RedisFromEnvOptions, redisFromEnv } from './redis-from-env.ts';
