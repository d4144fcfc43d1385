import { useQuery } from "@tanstack/react-query";
import { asked } from "~/api/queries";
import { figure, words } from "./figures";
import { stretches } from "./gaps";

const WIDTH = 120;
const HEIGHT = 28;

/** The last quarter of an hour of one metric, with its threshold. */
export function Sparkline({ slug, metric, threshold }: { slug: string; metric: string; threshold?: number | null }) {
  const { data } = useQuery(asked.curve(slug, 15, 60, metric));
  const points = (data?.points ?? []).flatMap((point) => {
    const value = point.metrics[metric];
    return value === undefined ? [] : [{ at: Date.parse(point.at), value }];
  });
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) return <svg width={WIDTH} height={HEIGHT} aria-hidden="true" />;
  const values = points.map(({ value }) => value);
  const high = Math.max(...values, threshold ?? -Infinity);
  const low = Math.min(...values, threshold ?? Infinity);
  const x = (at: number) => ((at - first.at) / Math.max(1, last.at - first.at)) * (WIDTH - 2) + 1;
  const y = (value: number) => HEIGHT - 3 - ((value - low) / (high - low || 1)) * (HEIGHT - 6);
  const said = `${words(metric)}, last ${Math.max(1, Math.round((last.at - first.at) / 60000))} min: ${figure(metric, Math.min(...values))} to ${figure(metric, Math.max(...values))}`;
  return (
    <svg width={WIDTH} height={HEIGHT} role="img" aria-label={said} className="sparkline">
      <title>{said}</title>
      {threshold !== null && threshold !== undefined && (
        <line x1="0" x2={WIDTH} y1={y(threshold)} y2={y(threshold)} className="sparkline-limit" />
      )}
      {stretches(points).map((stretch) => (
        <polyline
          key={stretch[0]?.at}
          points={[...stretch, ...stretch.slice(0, stretch.length > 1 ? 0 : 1)] // one alone is a dot
            .map((point) => `${x(point.at).toFixed(1)},${y(point.value).toFixed(1)}`)
            .join(" ")}
        />
      ))}
    </svg>
  );
}
