import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Chart, type Mark } from "~/components/Chart";
import { figure, short, thresholds, words } from "~/components/figures";

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

/** Before and after: what the alerts' rules look at, on the root. */
export function Curves({ detail }: { detail: Schemas["IncidentDetail"] }) {
  const { incident, fixes } = detail;
  const { data: rules } = useQuery(asked.rules());
  const { data: status } = useQuery(asked.status());
  const root = status?.items.find((item) => item.id === incident.root);
  const watched = (rules?.items ?? []).filter((rule) =>
    incident.alerts.some((alert) => alert.rule === rule.rule && alert.resource === incident.root),
  );
  const metrics = [
    ...new Set(watched.flatMap((rule) => [...rule.when.matchAll(/reading\.(\w+)/g)].map(([, name]) => name ?? ""))),
  ];
  const verdict = fixes.findLast((fix) => fix.verdict?.before && fix.verdict.after.length > 0)?.verdict;
  return (
    <>
      {verdict && metrics.length > 0 && (
        <section className="card">
          <h2>Before and after</h2>
          <dl className="pairs">
            {metrics.map((metric) => (
              <Pair
                key={metric}
                metric={metric}
                before={verdict.before?.metrics?.[metric]}
                after={verdict.after.at(-1)?.metrics?.[metric]}
              />
            ))}
          </dl>
        </section>
      )}
      {root && metrics.length > 0 && (
        <Drawings detail={detail} slug={root.slug} metrics={metrics} rules={rules?.items ?? []} kind={root.kind} />
      )}
    </>
  );
}

function Pair({ metric, before, after }: { metric: string; before?: number; after?: number }) {
  return (
    <>
      <dt>{words(metric)}</dt>
      <dd className="figure">
        {figure(metric, before)} → {figure(metric, after)}
      </dd>
    </>
  );
}

interface Drawing {
  detail: Schemas["IncidentDetail"];
  slug: string;
  kind: string;
  metrics: string[];
  rules: Schemas["RuleView"][];
}

function Drawings({ detail, slug, kind, metrics, rules }: Drawing) {
  const { incident } = detail;
  const since = new Date(Date.parse(incident.opened_at) - 2 * BESIDE_MS).toISOString();
  const until = incident.closed_at ? new Date(Date.parse(incident.closed_at) + BESIDE_MS).toISOString() : null;
  const { data } = useQuery(asked.between(slug, since, until));
  const points = data?.points ?? [];
  return (
    <section aria-label={`Readings of ${short(incident.root)}`} className="charts">
      {metrics
        .filter((metric) => points.some((point) => point.metrics[metric] !== undefined))
        .map((metric) => (
          <Chart
            key={metric}
            metric={metric}
            points={points}
            limits={thresholds(rules, kind, metric)}
            marks={marks(detail)}
          />
        ))}
    </section>
  );
}
