import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { short } from "~/components/figures";
import { HealthBadge } from "~/components/Health";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { place } from "./layout";

const [WIDE, HIGH, COLUMN, ROW] = [190, 46, 270, 66];

export function MapPage() {
  const map = useQuery(asked.map());
  return (
    <>
      <Title
        name="Map"
        says="What needs what, as inferred from live connections and from what is declared. An arrow points to what is needed."
      />
      <Loaded query={map}>
        {(view) =>
          view.edges.length === 0 ? (
            <Empty title="Nothing is known to need anything else">
              Connections are looked at every {view.seconds || "few"} s; `depends_on` in the configuration says what
              cannot be seen.
            </Empty>
          ) : (
            <div className="stack">
              <div className="card scroll" tabIndex={0} role="region" aria-label="Map">
                <Drawing view={view} />
              </div>
              <Listed view={view} />
            </div>
          )
        }
      </Loaded>
    </>
  );
}

function Drawing({ view }: { view: Schemas["MapView"] }) {
  const { data: incidents } = useQuery(asked.active());
  const roots = new Set((incidents?.items ?? []).flatMap((one) => one.roots));
  const joined = new Set(view.edges.flatMap((edge) => [edge.source, edge.target]));
  const nodes = view.nodes.filter((node) => joined.has(node.id));
  const placed = new Map(
    place(
      nodes.map((node) => node.id),
      view.edges,
      COLUMN,
      ROW,
    ).map((one) => [one.id, one]),
  );
  const width = Math.max(...[...placed.values()].map(({ x }) => x)) + WIDE + 4;
  const height = Math.max(...[...placed.values()].map(({ y }) => y)) + HIGH + 4;
  const ill = new Set(
    nodes.filter((node) => node.health === "FAILED" || node.health === "DEGRADED").map((node) => node.id),
  );
  return (
    <svg
      viewBox={`-2 -2 ${width} ${height}`}
      style={{ minWidth: Math.min(width, 700), maxWidth: width }}
      className="map"
      role="group"
      aria-label="Dependency map"
    >
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0l8 4-8 4z" fill="var(--quiet)" />
        </marker>
      </defs>
      {view.edges.map((edge) => {
        const [from, to] = [placed.get(edge.source), placed.get(edge.target)];
        if (!from || !to) return null;
        const [x1, y1, x2, y2] = [from.x + WIDE, from.y + HIGH / 2, to.x, to.y + HIGH / 2];
        const how = edge.known.map((sign) => `${sign.how}: ${sign.evidence}`).join("\n");
        return (
          <path
            key={`${edge.source} ${edge.target}`}
            className={`edge ${ill.has(edge.target) ? "edge-ill" : ""}`}
            d={`M${x1} ${y1}C${x1 + 40} ${y1} ${x2 - 40} ${y2} ${x2} ${y2}`}
            markerEnd="url(#arrow)"
          >
            <title>{how}</title>
          </path>
        );
      })}
      {nodes.map((node) => {
        const at = placed.get(node.id);
        const root = roots.has(node.id);
        return (
          <Link key={node.id} to="/resources/$slug" params={{ slug: node.slug }}>
            <g
              transform={`translate(${at?.x ?? 0} ${at?.y ?? 0})`}
              className={`map-${node.health.toLowerCase()} ${root ? "map-root" : ""}`}
            >
              <rect width={WIDE} height={HIGH} rx="6" />
              <text x="12" y="20">
                {node.slug.length > 22 ? `${node.slug.slice(0, 21)}…` : node.slug}
              </text>
              <text x="12" y="36" className="map-kind">
                {node.kind} · {node.health.toLowerCase()}
                {root ? " · root" : ""}
              </text>
            </g>
          </Link>
        );
      })}
    </svg>
  );
}

function Listed({ view }: { view: Schemas["MapView"] }) {
  return (
    <details className="card">
      <summary>The same as a list</summary>
      <ul style={{ fontSize: "0.875rem" }}>
        {view.nodes.map((node) => {
          const needs = view.edges.filter((edge) => edge.source === node.id);
          return (
            <li key={node.id}>
              <HealthBadge health={node.health} /> <b>{node.slug}</b>
              {needs.length > 0 &&
                ` needs ${needs.map((edge) => `${short(edge.target)} (${edge.known.map((sign) => sign.how).join(", ")})`).join(", ")}`}
            </li>
          );
        })}
      </ul>
      {view.unknown.map((gap) => (
        <Text key={`${gap.resource}${gap.text}`} size="sm" c="dimmed">
          {short(gap.resource)}: {gap.text}
        </Text>
      ))}
    </details>
  );
}
