import { lazy, Suspense } from "react";
import type { Schemas } from "~/api/client";
import type { Threshold } from "./figures";
import { figure, words } from "./figures";

export interface Mark {
  at: string;
  said: string;
  kind: "alert" | "fix" | "change";
}

/** A stretch of time that is shaded: while a fix was at work. */
export interface Span {
  from: string;
  until: string;
  said: string;
}

export interface Charted {
  metric: string;
  points: Schemas["CurvePoint"][];
  limits: Threshold[];
  marks: Mark[];
  spans?: Span[];
  /** Instead of the last value: before and after. */
  says?: string;
}

/** By shape and word, not by colour alone. */
export const SIGNS: Record<Mark["kind"], string> = { alert: "▲", fix: "●", change: "◆" };
const MEANS: Record<Mark["kind"], string> = { alert: "alert", fix: "step of a fix", change: "change" };

/** What the signs on the time axis stand for, of those that are there. */
export function Legend({ marks }: { marks: Mark[] }) {
  const there = (Object.keys(SIGNS) as Mark["kind"][]).filter((kind) => marks.some((mark) => mark.kind === kind));
  if (there.length === 0) return null;
  return (
    <span className="legend">
      {there.map((kind) => (
        <span key={kind}>
          <span aria-hidden="true">{SIGNS[kind]}</span> {MEANS[kind]}
        </span>
      ))}
    </span>
  );
}

const Drawn = lazy(() => import("./Drawn"));

/** One metric over time with its thresholds, alerts and fixes; the drawing is loaded when it is first needed. */
export function Chart(charted: Charted) {
  const last = charted.points.findLast((point) => point.metrics[charted.metric] !== undefined);
  return (
    <figure className="card" style={{ margin: 0 }}>
      <figcaption className="figure" style={{ fontSize: "0.875rem", marginBottom: 6 }}>
        <b>{words(charted.metric)}</b> {charted.says ?? figure(charted.metric, last?.metrics[charted.metric])}
        {charted.limits.map((limit) => (
          <span key={limit.value} style={{ color: "var(--quiet)" }}>
            {" · "}
            {limit.rule} at {figure(charted.metric, limit.value)}
          </span>
        ))}
      </figcaption>
      <div className="chart" role="img" aria-label={told(charted)}>
        <Suspense fallback={null}>
          <Drawn {...charted} />
        </Suspense>
      </div>
    </figure>
  );
}

/** The same for who does not see it. */
export function told({ metric, points, limits, marks }: Charted): string {
  const values = points.flatMap((point) => point.metrics[metric] ?? []);
  const range = values.length
    ? `, ${figure(metric, Math.min(...values))} to ${figure(metric, Math.max(...values))}`
    : "";
  const [first, last] = [points[0]?.at ?? "", points.at(-1)?.at ?? ""];
  const within = marks.filter(({ at }) => at >= first && at <= last);
  const count = (kind: Mark["kind"], word: string) => {
    const many = within.filter((mark) => mark.kind === kind).length;
    return many ? [`${many} ${word}${many > 1 ? "s" : ""}`] : [];
  };
  const marked = [...count("alert", "alert"), ...count("fix", "fixing step"), ...count("change", "change")];
  const over = limits.map((limit) => ` ${limit.rule} at ${figure(metric, limit.value)}.`).join("");
  return `${words(metric)} over time${range}.${over} ${marked.join(", ")}`.trim();
}
