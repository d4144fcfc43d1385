import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { seconds, short } from "./figures";
import { HealthBadge, HealthMark } from "./Health";
import { lay } from "./layout";
import { Empty } from "./States";

const SIZES = { wide: 176, high: 46, gap: 36, space: 16, lane: 12 };
const { wide: WIDE, high: HIGH } = SIZES;
const LETTERS = 19; // of a name, that fit
const ENDS = 7; // of them after what is left out: names differ at their ends
const MOST = 1.6; // times as large where there is room
const REM = 16; // pixels, in which sizes are given; on a wall a rem is more, and all of it is larger

const shortened = (name: string): string =>
  name.length > LETTERS ? `${name.slice(0, LETTERS - ENDS - 1)}…${name.slice(-ENDS)}` : name;

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
          `Connections are looked at every ${view.seconds ? seconds(view.seconds) : "few seconds"}; depends_on in the configuration says what cannot be seen.`}
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
  const { boxes, lines, width, height } = lay(
    nodes.map((node) => node.id),
    view.edges,
    SIZES,
  );
  const [over, setOver] = useState<string | null>(null);
  const ill = new Set(
    nodes.filter((node) => node.health === "FAILED" || node.health === "DEGRADED").map((node) => node.id),
  );
  return (
    <svg
      viewBox={`-2 -2 ${width + 4} ${height + 4}`}
      style={{ minWidth: `${width / REM}rem`, maxWidth: `${(MOST * width) / REM}rem` }}
      className={over ? "map map-over" : "map"}
      role="group"
      aria-label="Dependency map"
    >
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0l8 4-8 4z" fill="context-stroke" />
        </marker>
      </defs>
      {lines.map(({ edge, path }) => (
        <path
          key={`${edge.source} ${edge.target}`}
          className={`edge ${ill.has(edge.target) ? "edge-ill" : ""} ${over === edge.source || over === edge.target ? "edge-over" : ""}`}
          d={path}
          markerEnd="url(#arrow)"
        >
          <title>{edge.known.map((sign) => `${sign.how}: ${sign.evidence}`).join("\n")}</title>
        </path>
      ))}
      {nodes.map((node) => {
        const at = boxes.get(node.id);
        const root = roots.has(node.id);
        return (
          <Link
            key={node.id}
            to="/resources/$slug"
            params={{ slug: node.slug }}
            onMouseEnter={() => setOver(node.id)}
            onMouseLeave={() => setOver(null)}
            onFocus={() => setOver(node.id)}
            onBlur={() => setOver(null)}
          >
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
                {shortened(node.slug)}
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
