import { createCache } from '@cachekit/core';
import { openTelemetryMetrics } from '@cachekit/core/node';
import { metrics } from '@opentelemetry/api';

const stop: () => void = openTelemetryMetrics(metrics.getMeter('cachekit'), createCache());

// @ts-expect-error what is no meter
openTelemetryMetrics({}, createCache());

export { stop };
