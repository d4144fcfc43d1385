import { lazy, Suspense } from "react";
import type { Schemas } from "~/api/client";
import type { Threshold } from "./figures";
import { figure, words } from "./figures";

export interface Mark {
  at: string;
  said: string;
  kind: "alert" | "fix";
}

export interface Charted {
  metric: string;
  points: Schemas["CurvePoint"][];
  limits: Threshold[];
  marks: Mark[];
}

const Drawn = lazy(() => import("./Drawn"));

/** One metric over time with its thresholds, alerts and fixes; the drawing is loaded when it is first needed. */
export function Chart(charted: Charted) {
  const last = charted.points.findLast((point) => point.metrics[charted.metric] !== undefined);
  return (
    <figure className="card" style={{ margin: 0 }}>
      <figcaption className="figure" style={{ fontSize: 14, marginBottom: 6 }}>
        <b>{words(charted.metric)}</b> {figure(charted.metric, last?.metrics[charted.metric])}
        {charted.limits.map((limit) => (
          <span key={limit.value} style={{ color: "var(--quiet)" }}>
            {" · "}
            {limit.rule} at {figure(charted.metric, limit.value)}
          </span>
        ))}
      </figcaption>
      <div className="chart" role="img" aria-label={`${words(charted.metric)} over time`}>
        <Suspense fallback={null}>
          <Drawn {...charted} />
        </Suspense>
      </div>
    </figure>
  );
}
