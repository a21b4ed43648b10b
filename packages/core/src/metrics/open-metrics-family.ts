/** One sample of a family: the suffix of its name, its labels, its value. */
export type OpenMetricsSample = readonly [
  suffix: string,
  labels: Readonly<Record<string, string>>,
  value: number,
];

/**
 * The lines of one family of metrics in the OpenMetrics text format; after all families comes `# EOF`.
 *
 * The suffix of a sample of a counter is `_total`. What a name that ends with `_seconds` or `_bytes` is measured in is said,
 * and labels may be any text.
 *
 * @param name - Without `cachekit_`, which it begins with.
 * @param help - A sentence.
 * @see OpenMetrics 1.0, https://prometheus.io/docs/specs/om/open_metrics_spec/
 * @example
 * const text = openMetricsFamily('jobs', 'counter', 'Jobs that ended.', [['_total', { queue: 'mail' }, 7]]);
 * text.split('\n')[2]; // 'cachekit_jobs_total{queue="mail"} 7'
 */
export function openMetricsFamily(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
  samples: readonly OpenMetricsSample[],
): string {
  const full = `cachekit_${name}`;
  let text = `# TYPE ${full} ${type}\n`;
  if (name.endsWith('_seconds')) text += `# UNIT ${full} seconds\n`;
  if (name.endsWith('_bytes')) text += `# UNIT ${full} bytes\n`;
  text += `# HELP ${full} ${help}\n`;
  for (const [suffix, labels, value] of samples) text += `${full}${suffix}${labelText(labels)} ${value}\n`;
  return text;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
