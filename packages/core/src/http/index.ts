export { clockHeader, minClockOf, setCacheHeaders } from './cache-headers.ts';
export { metricsHandler } from './metrics-handler.ts';
export { type WithCacheOptions, withCache } from './with-cache.ts';
