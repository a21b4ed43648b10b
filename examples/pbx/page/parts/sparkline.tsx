/** A line through counts, the newest at the right; its height is that of the greatest of them. */
export function Sparkline({ series, label }: { series: readonly number[]; label: string }) {
  const most = Math.max(1, ...series);
  const step = 100 / Math.max(1, series.length - 1);
  const points = series.map(
    (count, index) => `${(index * step).toFixed(2)},${(27 - (24 * count) / most).toFixed(2)}`,
  );
  return (
    <svg className="sparkline" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon points={`0,28 ${points.join(' ')} 100,28`} />
      <polyline points={points.join(' ')} />
    </svg>
  );
}
