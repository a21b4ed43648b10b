import { type Cache, createCache } from '@cachekit/core';
import { openTelemetryMetrics, openTelemetryTraces } from '@cachekit/core/node';
import { metrics, trace } from '@opentelemetry/api';

const stop: () => void = openTelemetryMetrics(metrics.getMeter('cachekit'), createCache());

// @ts-expect-error what is no meter
openTelemetryMetrics({}, createCache());

const traced: Cache = openTelemetryTraces(trace.getTracer('cachekit'), createCache());

// @ts-expect-error what is no tracer
openTelemetryTraces({}, createCache());

export { stop, traced };
