export { type DiagnosticsMessage, publishDiagnostics } from './diagnostics.ts';
export {
  type HistogramLike,
  type MeasurementOptionsLike,
  type MeterLike,
  type ObservationsLike,
  type OpenTelemetryOptions,
  openTelemetryMetrics,
} from './open-telemetry.ts';
export { openTelemetryTraces, type SpanLike, type TracerLike } from './open-telemetry-traces.ts';
