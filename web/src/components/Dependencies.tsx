import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { short } from "./figures";
import { HealthBadge, HealthMark } from "./Health";
import { place } from "./layout";
import { Empty } from "./States";

const [WIDE, HIGH, COLUMN, ROW] = [164, 46, 202, 62];
const BEND = 22;
const LETTERS = 18; // of a name, that fit
const SMALLEST = 0.85; // it is not drawn smaller, but scrolled

/** What needs what, with health along it and the roots marked; `only`: nothing else, where a filter leaves few. */
export function Dependencies({ view, only }: { view: Schemas["MapView"]; only?: Set<string> }) {
  const edges = view.edges.filter((edge) => !only || (only.has(edge.source) && only.has(edge.target)));
  const nodes = view.nodes.filter((node) => !only || only.has(node.id));
  const shown = { ...view, edges, nodes };
  if (edges.length === 0)
    return (
      <Empty
        title={
          view.edges.length ? "Nothing of this needs anything else of it" : "Nothing is known to need anything else"
        }
      >
        {!view.edges.length &&
          `Connections are looked at every ${view.seconds || "few"} s; depends_on in the configuration says what cannot be seen.`}
      </Empty>
    );
  return (
    <div className="stack">
      <div className="card scroll" tabIndex={0} role="region" aria-label="Map">
        <Drawing view={shown} />
      </div>
      <Listed view={shown} />
    </div>
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
      style={{ minWidth: width * SMALLEST, maxWidth: width * 1.4 }}
      className="map"
      role="group"
      aria-label="Dependency map"
    >
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0l8 4-8 4z" fill="context-stroke" />
        </marker>
      </defs>
      {view.edges.map((edge) => {
        const [from, to] = [placed.get(edge.source), placed.get(edge.target)];
        if (!from || !to) return null;
        const [x1, y1, x2, y2] = [from.x + WIDE, from.y + HIGH / 2, to.x - 1, to.y + HIGH / 2];
        const how = edge.known.map((sign) => `${sign.how}: ${sign.evidence}`).join("\n");
        return (
          <path
            key={`${edge.source} ${edge.target}`}
            className={`edge ${ill.has(edge.target) ? "edge-ill" : ""}`}
            d={`M${x1} ${y1}C${x1 + BEND} ${y1} ${x2 - BEND} ${y2} ${x2} ${y2}`}
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
              <g transform={`translate(${WIDE - 24} 8)`}>
                <HealthMark health={node.health} size={14} />
              </g>
              <text x="12" y="20">
                <title>{node.slug}</title>
                {node.slug.length > LETTERS ? `${node.slug.slice(0, LETTERS - 1)}…` : node.slug}
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
