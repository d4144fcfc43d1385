import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Chart, Legend, type Mark, type Span } from "~/components/Chart";
import { figure, thresholds } from "~/components/figures";

const BESIDE_MS = 60_000;

/** The alerts and fixes of an incident, for the time axis. */
export function marks({ incident, fixes }: Schemas["IncidentDetail"]): Mark[] {
  return [
    ...incident.alerts.flatMap(({ firing_at, rule }) =>
      firing_at ? [{ at: firing_at, said: rule, kind: "alert" as const }] : [],
    ),
    ...fixes.map((fix) => ({
      at: fix.started_at,
      said: fix.plan.steps.map((step) => step.tool).join(", "),
      kind: "fix" as const,
    })),
  ];
}

/** The stretches of time in which a fix was at work. */
export function spans({ fixes }: Schemas["IncidentDetail"]): Span[] {
  return fixes.map((fix) => ({
    from: fix.started_at,
    until: fix.executed_at ?? fix.finished_at ?? new Date().toISOString(),
    said: fix.plan.steps.map((step) => step.tool).join(", "),
  }));
}

/** What a metric was when the first fix began, and what it is now that the last was judged. */
export function change({ fixes }: Schemas["IncidentDetail"], metric: string): string | undefined {
  const verdicts = fixes.flatMap((fix) => fix.verdict ?? []);
  const before = verdicts.find((verdict) => verdict.before?.metrics?.[metric] !== undefined)?.before?.metrics?.[metric];
  const after = verdicts.findLast((verdict) => verdict.after.at(-1)?.metrics?.[metric] !== undefined)?.after.at(-1)
    ?.metrics?.[metric];
  if (before === undefined && after === undefined) return undefined;
  return `${figure(metric, before)} → ${figure(metric, after)}`;
}

/** Before and after, of each resource that has an alert here: what the rules of its alerts look at. */
export function Curves({ detail }: { detail: Schemas["IncidentDetail"] }) {
  const { data: rules } = useQuery(asked.rules());
  const { data: status } = useQuery(asked.status());
  const { incident } = detail;
  const about = [...new Set([incident.root, ...incident.alerts.map((alert) => alert.resource)])];
  const drawn = about.flatMap((id) => {
    const item = status?.items.find((one) => one.id === id);
    const fired = incident.alerts.filter((alert) => alert.resource === id).map((alert) => alert.rule);
    const watched = (rules?.items ?? []).filter((rule) => fired.includes(rule.rule) && rule.kind === item?.kind);
    const named = watched.flatMap((rule) => [...rule.when.matchAll(/reading\.(\w+)/g)].map(([, name]) => name ?? ""));
    const all = [...new Set(named)];
    const limited = all.filter((metric) => thresholds(rules?.items ?? [], item?.kind ?? "", metric).length > 0);
    const metrics = limited.length > 0 ? limited : all; // yes or no beside a figure draws nothing
    return item && metrics.length > 0 ? [{ item, metrics }] : [];
  });
  if (drawn.length === 0) return null;
  return (
    <section className="card">
      <h2>
        {detail.fixes.length > 0 ? "Before and after" : "Readings"} <Legend marks={marks(detail)} />
      </h2>
      <div className="stack">
        {drawn.map(({ item, metrics }) => (
          <Drawings
            key={item.id}
            detail={detail}
            id={item.id}
            slug={item.slug}
            kind={item.kind}
            metrics={metrics}
            rules={rules?.items ?? []}
          />
        ))}
      </div>
    </section>
  );
}

interface Drawing {
  detail: Schemas["IncidentDetail"];
  id: string;
  slug: string;
  kind: string;
  metrics: string[];
  rules: Schemas["RuleView"][];
}

function Drawings({ detail, id, slug, kind, metrics, rules }: Drawing) {
  const { incident } = detail;
  const since = new Date(Date.parse(incident.opened_at) - 2 * BESIDE_MS).toISOString();
  const until = incident.closed_at ? new Date(Date.parse(incident.closed_at) + BESIDE_MS).toISOString() : null;
  const { data } = useQuery(asked.between(slug, since, until));
  const points = data?.points ?? [];
  const there = metrics.filter((metric) => points.filter((point) => point.metrics[metric] !== undefined).length > 1);
  if (there.length === 0) return null;
  return (
    <section aria-label={`Readings of ${slug}`}>
      <h3 className="charted">{slug}</h3>
      <div className="charts">
        {there.map((metric) => (
          <Chart
            key={metric}
            metric={metric}
            points={points}
            limits={thresholds(rules, kind, metric)}
            marks={marks(detail)}
            spans={spans(detail)}
            says={id === incident.root ? change(detail, metric) : undefined}
          />
        ))}
      </div>
    </section>
  );
}
