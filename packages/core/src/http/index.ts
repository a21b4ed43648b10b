export { clockHeader, minClockOf, setCacheHeaders } from './cache-headers.ts';
export { etagOf } from './etag.ts';
export { expressHandler, type NodeRequestLike, type NodeResponseLike } from './express.ts';
export { type MetricsHandlerOptions, metricsHandler } from './metrics-handler.ts';
export { openMetrics, openMetricsType } from './open-metrics.ts';
export { type WithCacheOptions, withCache } from './with-cache.ts';
