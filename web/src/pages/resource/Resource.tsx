import { SegmentedControl, Skeleton, Switch, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Chart, Legend } from "~/components/Chart";
import { figure, short, thresholds, words } from "~/components/figures";
import { HealthBadge } from "~/components/Health";
import { IncidentLines } from "~/components/IncidentLines";
import { Empty, Loaded, Older } from "~/components/States";
import { EffectBadge } from "~/components/Steps";
import { Title } from "~/components/Title";
import { When } from "~/components/When";
import { Changed, marked } from "./Changed";
import { Logs } from "./Logs";

type Detail = Schemas["ResourceDetail"];

export function ResourcePage() {
  const { slug } = useParams({ from: "/resources/$slug" });
  const resource = useQuery(asked.resource(slug));
  // What the charts are drawn of is waited for, lest what is below them jumps.
  const pending = [useQuery(asked.curve(slug, 15, 300)), useQuery(asked.rules()), useQuery(asked.status())].some(
    (one) => one.isPending && one.errorUpdateCount === 0,
  );
  const drawn = resource.error || !pending;
  return (
    <>
      {!(drawn && resource.data) && <Title name={slug} says={<Link to="/">All that is watched</Link>} />}
      <Loaded query={drawn ? resource : { ...resource, data: undefined }}>
        {(detail) => <Shown key={detail.id} detail={detail} />}
      </Loaded>
    </>
  );
}

function Shown({ detail }: { detail: Detail }) {
  return (
    <>
      <Title
        name={detail.slug}
        says={
          <>
            {detail.id} · {detail.state || "no state"} · since <When at={detail.since} />
            {!detail.may_act && " · only looked at: nothing says `act: true` of it"}
          </>
        }
      >
        <HealthBadge health={detail.health} />
      </Title>
      <div className="stack">
        {detail.alerts.length > 0 && (
          <section className="card">
            <h2>Alerts</h2>
            {detail.alerts.map((alert) => (
              <Text key={alert.id} size="sm">
                <b>{alert.rule}</b> {alert.status}, since <When at={alert.pending_at} />. {alert.why}
              </Text>
            ))}
          </section>
        )}
        <Readings detail={detail} />
        <div className="two">
          <div className="stack">
            <Logs slug={detail.slug} />
            <Incidents id={detail.id} />
          </div>
          <div className="stack">
            <Changed slug={detail.slug} />
            <Around detail={detail} />
            <Tools kind={detail.kind} slug={detail.slug} />
            <Now detail={detail} />
          </div>
        </div>
      </div>
    </>
  );
}

const FIRST = 6; // charts before every metric is asked for
const SPANS = { "15": "15 min", "60": "1 h", "360": "6 h", "1440": "24 h" };

function Readings({ detail }: { detail: Detail }) {
  const [minutes, setMinutes] = useState("15");
  const [every, setEvery] = useState(false);
  const { data } = useQuery(asked.curve(detail.slug, Number(minutes), 300));
  const { data: rules } = useQuery(asked.rules());
  const points = data?.points ?? [];
  const all = Object.keys(points.findLast((point) => Object.keys(point.metrics).length > 0)?.metrics ?? {}).sort();
  const limited = all.filter((metric) => thresholds(rules?.items ?? [], detail.kind, metric).length > 0);
  const { data: status } = useQuery(asked.status());
  const matters = status?.items.find((item) => item.id === detail.id)?.metric?.name;
  const first = [...new Set([...(matters && all.includes(matters) ? [matters] : []), ...limited])].slice(0, FIRST);
  const shown = every || first.length === 0 ? all : first;
  const story = useInfiniteQuery(asked.story(detail.slug, Number(minutes)));
  const marks = marked(story.data?.items ?? []);
  return (
    <section aria-label="Readings">
      <div style={{ display: "flex", gap: 16, alignItems: "center", flexWrap: "wrap", marginBottom: 10 }}>
        <SegmentedControl
          size="xs"
          aria-label="Span of time"
          value={minutes}
          onChange={setMinutes}
          transitionDuration={0}
          data={Object.entries(SPANS).map(([value, label]) => ({ value, label }))}
        />
        <Switch
          size="sm"
          label="Every metric"
          checked={every}
          onChange={(event) => setEvery(event.currentTarget.checked)}
        />
        {data && data.of > points.length && (
          <Text size="xs" c="dimmed">
            {points.length} of {data.of} looks are drawn
          </Text>
        )}
        <Legend marks={marks} />
        {story.hasNextPage && <Older query={story} name="events are marked" />}
      </div>
      {data === undefined ? (
        <div className="charts" aria-busy="true" aria-label="Loading">
          <Skeleton height={190} animate={false} />
        </div>
      ) : points.length < 2 ? (
        <Empty title="No readings in this time" />
      ) : (
        <div className="charts">
          {shown.map((metric) => (
            <Chart
              key={metric}
              metric={metric}
              points={points}
              limits={thresholds(rules?.items ?? [], detail.kind, metric)}
              marks={marks}
            />
          ))}
        </div>
      )}
    </section>
  );
}

function Incidents({ id }: { id: string }) {
  const query = useInfiniteQuery(asked.incidentsOf(id));
  const items = query.data?.items ?? [];
  return (
    <section className="card">
      <h2>Incidents</h2>
      {query.data && items.length === 0 && !query.hasNextPage && (
        <Text size="sm" c="dimmed">
          None yet.
        </Text>
      )}
      <IncidentLines incidents={items} />
      <Older query={query} name="incidents" />
    </section>
  );
}

function Around({ detail }: { detail: Detail }) {
  const { data: map } = useQuery(asked.map());
  const { data: status } = useQuery(asked.status());
  const link = (id: string) => {
    const slug = status?.items.find((item) => item.id === id)?.slug;
    return slug ? (
      <Link key={id} to="/resources/$slug" params={{ slug }}>
        {slug}
      </Link>
    ) : (
      <span key={id}>{short(id)}</span>
    );
  };
  const listed = (ids: string[]) => ids.flatMap((id, index) => [index ? ", " : "", link(id)]);
  const needs = [...new Set((map?.edges ?? []).filter((edge) => edge.source === detail.id).map((edge) => edge.target))];
  const needed = [
    ...new Set((map?.edges ?? []).filter((edge) => edge.target === detail.id).map((edge) => edge.source)),
  ];
  return (
    <section className="card">
      <h2>Dependencies</h2>
      <dl className="pairs">
        <dt>Needs</dt>
        <dd>{needs.length ? listed(needs) : "nothing known"}</dd>
        <dt>Is needed by</dt>
        <dd>{needed.length ? listed(needed) : "nothing known"}</dd>
        <dt>Runs on</dt>
        <dd>{detail.runs_on ? link(detail.runs_on) : "–"}</dd>
        {(detail.tended_by ?? []).length > 0 && (
          <>
            <dt>Tended by</dt>
            <dd>{detail.tended_by?.join(", ")}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

function Tools({ kind, slug }: { kind: string; slug: string }) {
  const { data } = useQuery(asked.tools());
  const items = (data?.items ?? []).filter((tool) => tool.kind === kind);
  if (items.length === 0) return null;
  return (
    <section className="card">
      <h2>Tools</h2>
      {items.map((tool) => (
        <div key={tool.name} style={{ display: "flex", justifyContent: "space-between", gap: 8, padding: "2px 0" }}>
          <Link
            to="/tools"
            search={{ tool: tool.name, resource: slug }}
            style={{ fontSize: "0.875rem", overflowWrap: "anywhere" }}
          >
            {tool.name}
          </Link>
          <EffectBadge effect={tool.effect} />
        </div>
      ))}
    </section>
  );
}

function Now({ detail }: { detail: Detail }) {
  const metrics = Object.entries(detail.reading?.metrics ?? {}).sort(([one], [other]) => one.localeCompare(other));
  const facts = Object.entries(detail.reading?.facts ?? {});
  return (
    <details className="card">
      <summary>
        Last reading: {metrics.length} figures {detail.reading && <When at={detail.reading.at} />}
      </summary>
      {detail.reading?.error && <Text className="bad">{detail.reading.error}</Text>}
      <dl className="pairs">
        {metrics.map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{words(name)}</dt>
            <dd className="figure">{figure(name, value)}</dd>
          </div>
        ))}
        {facts.map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{words(name)}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
