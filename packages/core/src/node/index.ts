export { type DiagnosticsMessage, publishDiagnostics } from './diagnostics.ts';
export {
  type HistogramLike,
  type MeasurementOptionsLike,
  type MeterLike,
  type ObservationsLike,
  type OpenTelemetryOptions,
  openTelemetryMetrics,
} from './open-telemetry.ts';
