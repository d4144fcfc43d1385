import { Group, SegmentedControl, Select, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { lazy, Suspense, useLayoutEffect, useRef, useState } from "react";
import type { Health, Resource, Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { HealthMark } from "~/components/Health";
import { useStale } from "~/components/Stale";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import type { Filter } from "~/router";
import { Row } from "./Row";

const ORDER: Health[] = ["FAILED", "DEGRADED", "UNKNOWN", "HEALTHY"];
const WORDS: Record<Health, string> = {
  FAILED: "failed",
  DEGRADED: "degraded",
  UNKNOWN: "unknown",
  HEALTHY: "healthy",
};

export const provider = ({ id }: Pick<Resource, "id">): string => id.slice(0, id.indexOf("/"));

/** What a filter leaves. */
export function chosen(items: Resource[], filter: Filter): Resource[] {
  const sought = filter.q?.toLowerCase() ?? "";
  return items.filter(
    (item) =>
      (!filter.provider || provider(item) === filter.provider) &&
      (!filter.kind || item.kind === filter.kind) &&
      (!sought || `${item.id} ${item.slug} ${item.state}`.toLowerCase().includes(sought)),
  );
}

export function Overview() {
  const status = useQuery(asked.status());
  return (
    <>
      <Title name="Overview" />
      <Loaded query={status}>{(page) => <Watched page={page} />}</Loaded>
    </>
  );
}

function Watched({ page }: { page: Schemas["StatusPage"] }) {
  const filter = useSearch({ from: "/" });
  const items = chosen(page.items, filter);
  return (
    <>
      <Glance page={page} />
      <Filters items={page.items} filter={filter} />
      {items.length > 0 ? (
        filter.view === "map" ? (
          <Flow items={items} />
        ) : (
          <Rows items={items} />
        )
      ) : page.items.length === 0 ? (
        <Empty title="Nothing is watched yet">
          Services on this machine and in its containers are found by themselves; docs/getting-started.md tells how to
          name others.
          {Object.entries(page.problems).map(([name, what]) => (
            <span key={name} className="why">
              {name}: {what}
            </span>
          ))}
        </Empty>
      ) : (
        <Empty title="Nothing fits the filter">
          <Link to="/" search={{}}>
            Show all {page.total}
          </Link>
        </Empty>
      )}
    </>
  );
}

function Glance({ page }: { page: Schemas["StatusPage"] }) {
  const ill = ORDER.slice(0, 3).reduce((sum, health) => sum + (page.counts[health] ?? 0), 0);
  const stale = useStale() !== null;
  return (
    <div className={`glance ${ill ? "glance-ill" : ""} ${page.total === 0 ? "glance-none" : ""}`}>
      <Text fw={600} size="lg">
        {stale && "When last seen: "}
        {page.total === 0
          ? "Nothing watched"
          : ill === 0
            ? `All ${page.total} healthy`
            : `${ill} of ${page.total} not healthy`}
      </Text>
      <Group gap="md">
        {ORDER.filter((health) => page.counts[health]).map((health) => (
          <Group key={health} gap={6}>
            <HealthMark health={health} />
            <Text size="sm" className="figure">
              {page.counts[health]} {WORDS[health]}
            </Text>
          </Group>
        ))}
      </Group>
      {page.maintenance.filter((window) => window.now).length > 0 && (
        <Text size="sm">
          Maintenance:{" "}
          {page.maintenance
            .filter((window) => window.now)
            .map((window) => window.reason || window.id)
            .join(", ")}
        </Text>
      )}
    </div>
  );
}

function Filters({ items, filter }: { items: Resource[]; filter: Filter }) {
  const navigate = useNavigate({ from: "/" });
  const set = (change: Filter) =>
    void navigate({ search: (before: Filter) => ({ ...before, ...change }), replace: true });
  const providers = [...new Set(items.map(provider))].sort();
  const kinds = [
    ...new Set(items.filter((item) => !filter.provider || provider(item) === filter.provider).map((item) => item.kind)),
  ].sort();
  return (
    <Group mb="sm" gap="sm">
      <nav aria-label="Providers" className="tabs">
        {[undefined, ...providers].map((one) => (
          <Link
            key={one ?? ""}
            to="/"
            search={{ ...filter, provider: one, kind: undefined }}
            replace
            className="tab"
            aria-current={filter.provider === one ? "true" : undefined}
          >
            {one ?? "all"}
          </Link>
        ))}
      </nav>
      <Select
        aria-label="Kind"
        placeholder="every kind"
        data={kinds}
        value={filter.kind ?? null}
        clearable
        clearButtonProps={{ "aria-label": "Every kind" }}
        w={160}
        onChange={(kind) => set({ kind: kind ?? undefined })}
      />
      <TextInput
        type="search"
        aria-label="Search resources"
        placeholder="Search (/)"
        value={filter.q ?? ""}
        onChange={(event) => set({ q: event.currentTarget.value || undefined })}
        style={{ flex: 1, minWidth: 140, maxWidth: 360 }}
      />
      <SegmentedControl
        aria-label="Shown as"
        value={filter.view ?? "list"}
        onChange={(view) => set({ view: view === "map" ? "map" : undefined })}
        transitionDuration={0}
        data={[
          { value: "list", label: "List" },
          { value: "map", label: "Map" },
        ]}
        ml={{ sm: "auto" }}
      />
    </Group>
  );
}

const Dependencies = lazy(() => import("~/components/Dependencies").then((it) => ({ default: it.Dependencies })));

/** What needs what, of what the filter leaves. */
function Flow({ items }: { items: Resource[] }) {
  const map = useQuery(asked.map());
  const only = new Set(items.map(({ id }) => id));
  return (
    <Loaded query={map}>
      {(view) => (
        <Suspense>
          <Dependencies view={view} only={only} />
        </Suspense>
      )}
    </Loaded>
  );
}

const ALL_AT_ONCE = 60;

/** All of them; of many only those that can be seen. */
function Rows({ items }: { items: Resource[] }) {
  const { data: incidents } = useQuery(asked.active());
  const story = new Map(incidents?.items.map((one) => [one.id, one]));
  const list = useRef<HTMLUListElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop(list.current?.offsetTop ?? 0), []);
  const rows = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => (window.innerWidth < 768 ? 132 : window.innerWidth < 2560 ? 57 : 77),
    overscan: 8,
    scrollMargin: top,
    getItemKey: (index) => items[index]?.id ?? index,
    enabled: items.length > ALL_AT_ONCE,
  });
  if (items.length <= ALL_AT_ONCE) {
    return (
      <ul className="rows" ref={list}>
        {items.map((item) => (
          <li key={item.id}>
            <Row item={item} incident={story.get(item.incident ?? "")} />
          </li>
        ))}
      </ul>
    );
  }
  return (
    <ul className="rows" ref={list} style={{ height: rows.getTotalSize(), position: "relative" }}>
      {rows.getVirtualItems().map(({ key, index, start }) => {
        const item = items[index];
        return item ? (
          <li
            key={key}
            data-index={index}
            ref={rows.measureElement}
            className="row-far"
            style={{ transform: `translateY(${start - top}px)` }}
          >
            <Row item={item} incident={story.get(item.incident ?? "")} />
          </li>
        ) : null;
      })}
    </ul>
  );
}
