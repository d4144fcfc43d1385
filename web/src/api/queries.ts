/** What the pages ask for, each under one key; what happens makes the right ones be asked again. */
import { infiniteQueryOptions, QueryClient, queryOptions } from "@tanstack/react-query";
import { api, ask, type Event, Refusal, type Schemas } from "./client";
import { live } from "./live";
import type { paths } from "./schema";

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (times, problem) => times < 2 && !(problem instanceof Refusal && problem.status >= 400),
      refetchOnWindowFocus: true,
    },
  },
});

const FIGURES_MS = 4_000; // figures move without events
const SELDOM_MS = 60_000;

interface Cursored<T> {
  items: T[];
  next?: string | null;
}

/** A list that goes back as far as there is anything, page by page; `bare`: the last page had nothing that fits. */
const older = <T>(queryKey: unknown[], page: (before?: string) => Promise<Cursored<T>>) =>
  infiniteQueryOptions({
    queryKey,
    queryFn: ({ pageParam }) => page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Cursored<T>) => last.next ?? undefined,
    select: ({ pages }) => ({
      items: pages.flatMap(({ items }) => items),
      bare: pages.at(-1)?.items.length === 0,
    }),
  });

/** Every page of a list at once. */
async function whole<T>(page: (before?: string) => Promise<Cursored<T>>): Promise<Cursored<T>> {
  const first = await page();
  let { next } = first;
  while (next) {
    const more = await page(next);
    first.items.push(...more.items);
    next = more.next;
  }
  return first;
}

export interface FixFilter {
  resource?: string;
  author?: string;
  verdict?: NonNullable<NonNullable<paths["/api/fixes"]["get"]["parameters"]["query"]>["verdict"]>;
  days: number;
}

const ago = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();

export type Level = "WARNING" | "ERROR" | "CRITICAL";

export const asked = {
  status: () =>
    queryOptions({
      queryKey: ["status"],
      refetchInterval: FIGURES_MS,
      queryFn: async () => {
        const first = await ask(api.GET("/api/resources/status", { params: { query: { limit: 1000 } } }));
        let { next } = first;
        while (next) {
          const more = await ask(api.GET("/api/resources/status", { params: { query: { limit: 1000, after: next } } }));
          first.items.push(...more.items);
          next = more.next;
        }
        return first;
      },
    }),
  me: () => queryOptions({ queryKey: ["me"], staleTime: SELDOM_MS, queryFn: () => ask(api.GET("/api/me")) }),
  ready: () =>
    queryOptions({
      queryKey: ["ready"],
      refetchInterval: 15_000,
      queryFn: async () => {
        const { data, error } = await api.GET("/readyz");
        return data ?? (error as unknown as NonNullable<typeof data>);
      },
    }),
  curve: (slug: string, minutes: number, points: number, metric?: string) =>
    queryOptions({
      queryKey: ["curve", slug, minutes, points, metric],
      refetchInterval: Math.max(FIGURES_MS, (minutes * 60_000) / points),
      queryFn: () => {
        const since = new Date(Date.now() - minutes * 60_000).toISOString();
        const query = { since, points, ...(metric ? { metric: [metric] } : {}) };
        return ask(api.GET("/api/resources/{slug}/curve", { params: { path: { slug }, query } }));
      },
    }),
  between: (slug: string, since: string, until: string | null) =>
    queryOptions({
      queryKey: ["between", slug, since, until],
      refetchInterval: until ? false : FIGURES_MS,
      queryFn: () => {
        const query = { since, points: 400, ...(until ? { until } : {}) };
        return ask(api.GET("/api/resources/{slug}/curve", { params: { path: { slug }, query } }));
      },
    }),
  story: (slug: string, minutes: number) =>
    older(["story", slug, minutes], (before) => {
      const since = new Date(Date.now() - minutes * 60_000).toISOString();
      const query = { since, limit: 300, ...(before ? { before: Number(before) } : {}) };
      return ask(api.GET("/api/resources/{slug}/events", { params: { path: { slug }, query } }));
    }),
  resource: (slug: string) =>
    queryOptions({
      queryKey: ["resource", slug],
      refetchInterval: FIGURES_MS,
      queryFn: () => ask(api.GET("/api/resources/{slug}", { params: { path: { slug } } })),
    }),
  logs: (slug: string, level: Level, text: string, before: string | null = null) =>
    queryOptions({
      queryKey: ["logs", slug, level, text, before],
      queryFn: () => {
        const query = { resource: [slug], limit: 200, level, text, ...(before ? { before: Number(before) } : {}) };
        return ask(api.GET("/api/logs", { params: { query } })) as Promise<Schemas["Page_LineView_"]>; // or a stream
      },
    }),
  templates: (slug: string) =>
    queryOptions({
      queryKey: ["templates", slug],
      queryFn: () =>
        ask(api.GET("/api/resources/{slug}/logs/templates", { params: { path: { slug }, query: { limit: 20 } } })),
    }),
  incidents: () =>
    older(["incidents", "all"], (before) =>
      ask(api.GET("/api/incidents", { params: { query: { limit: 100, before } } })),
    ),
  incidentsOf: (resource: string) =>
    older(["incidents", "of", resource], (before) =>
      ask(api.GET("/api/incidents", { params: { query: { limit: 10, before, resource } } })),
    ),
  /** Those that are not over, all of them. */
  active: () =>
    queryOptions({
      queryKey: ["incidents", "active"],
      queryFn: () =>
        whole((before) =>
          ask(api.GET("/api/incidents", { params: { query: { limit: 500, before, status: "active" } } })),
        ),
    }),
  /** The newest, for what has room for few. */
  lately: () =>
    queryOptions({
      queryKey: ["incidents", "lately"],
      queryFn: () => ask(api.GET("/api/incidents", { params: { query: { limit: 50 } } })),
    }),
  incident: (key: string) =>
    queryOptions({
      queryKey: ["incident", key],
      queryFn: () => ask(api.GET("/api/incidents/{key}", { params: { path: { key } } })),
    }),
  /** What a long story leaves out: the events of an incident after one and before another. */
  leftOut: (incident: string, after: number, before: number) =>
    queryOptions({
      queryKey: ["incident", incident, "between", after],
      enabled: false,
      staleTime: Infinity,
      queryFn: async () => {
        const found: Event[] = [];
        for (let from = after; ;) {
          const query = { incident, after: from, limit: 1000 };
          const page = ask(api.GET("/api/events", { params: { query } })) as Promise<Schemas["Page_Event_"]>; // or a stream
          const { items } = await page;
          found.push(...items.filter(({ seq }) => seq < before));
          const last = items.at(-1)?.seq;
          if (last === undefined || last >= before || items.length < 1000) return found;
          from = last;
        }
      },
    }),
  approvals: () =>
    queryOptions({
      queryKey: ["approvals"],
      refetchInterval: 15_000,
      queryFn: () => whole((before) => ask(api.GET("/api/approvals", { params: { query: { limit: 500, before } } }))),
    }),
  fixes: ({ days, ...filter }: FixFilter) =>
    older(["fixes", days, filter], (before) =>
      ask(api.GET("/api/fixes", { params: { query: { ...filter, limit: 100, before, since: ago(days) } } })),
    ),
  calls: (tool: string) =>
    queryOptions({
      queryKey: ["fixes", "calls", tool],
      queryFn: () => ask(api.GET("/api/fixes", { params: { query: { tool, limit: 5 } } })),
    }),
  proposals: (days: number) =>
    older(["evaluation", "proposals", days], (before) =>
      ask(api.GET("/api/evaluation/proposals", { params: { query: { limit: 20, before, since: ago(days) } } })),
    ),
  /** What calls of each tool took here. */
  took: () =>
    queryOptions({
      queryKey: ["evaluation", "tools"],
      staleTime: SELDOM_MS,
      queryFn: () => ask(api.GET("/api/evaluation/tools")),
    }),
  evaluation: (days: number) =>
    queryOptions({
      queryKey: ["evaluation", days],
      queryFn: () => ask(api.GET("/api/evaluation", { params: { query: { since: ago(days) } } })),
    }),
  map: () => queryOptions({ queryKey: ["map"], queryFn: () => ask(api.GET("/api/resources/map")) }),
  rules: () => queryOptions({ queryKey: ["rules"], staleTime: SELDOM_MS, queryFn: () => ask(api.GET("/api/rules")) }),
  runbooks: () =>
    queryOptions({ queryKey: ["runbooks"], staleTime: SELDOM_MS, queryFn: () => ask(api.GET("/api/runbooks")) }),
  drafts: () => queryOptions({ queryKey: ["drafts"], queryFn: () => ask(api.GET("/api/runbooks/drafts")) }),
  history: (name: string, kind: string) =>
    queryOptions({
      queryKey: ["runbooks", "history", kind, name],
      queryFn: () => ask(api.GET("/api/runbooks/{name}/history", { params: { path: { name }, query: { kind } } })),
    }),
  tools: () =>
    queryOptions({ queryKey: ["tools"], staleTime: SELDOM_MS, queryFn: () => ask(api.GET("/api/mcp/tools")) }),
  policy: () => queryOptions({ queryKey: ["policy"], queryFn: () => ask(api.GET("/api/policy")) }),
  preview: (body: Schemas["SetPolicy"], wanted: boolean) =>
    queryOptions({
      queryKey: ["policy", "preview", body],
      enabled: wanted,
      retry: false,
      placeholderData: (before) => before,
      queryFn: () => ask(api.POST("/api/policy/preview", { body })),
    }),
  amended: () => queryOptions({ queryKey: ["policy", "history"], queryFn: () => ask(api.GET("/api/policy/history")) }),
  mode: () => queryOptions({ queryKey: ["mode"], queryFn: () => ask(api.GET("/api/mode")) }),
  settings: () => queryOptions({ queryKey: ["settings"], queryFn: () => ask(api.GET("/api/settings")) }),
  tokens: () => queryOptions({ queryKey: ["tokens"], queryFn: () => ask(api.GET("/api/tokens")) }),
  channels: () => queryOptions({ queryKey: ["channels"], queryFn: () => ask(api.GET("/api/notify/channels")) }),
  llm: () => queryOptions({ queryKey: ["llm"], staleTime: SELDOM_MS, queryFn: () => ask(api.GET("/api/llm")) }),
  conversations: () =>
    older(["conversations"], (before) =>
      ask(api.GET("/api/llm/conversations", { params: { query: { limit: 20, before } } })),
    ),
  interactions: () =>
    older(["interactions"], (before) =>
      ask(api.GET("/api/llm/interactions", { params: { query: { limit: 50, before } } })),
    ),
  failures: () =>
    queryOptions({
      queryKey: ["failures"],
      staleTime: SELDOM_MS,
      retry: false,
      queryFn: () => ask(api.GET("/api/failures")),
    }),
  validations: () =>
    queryOptions({
      queryKey: ["validations"],
      refetchInterval: 2_000,
      retry: false,
      queryFn: () => ask(api.GET("/api/validation")),
    }),
  benchmarks: () =>
    queryOptions({
      queryKey: ["benchmarks"],
      refetchInterval: 4_000,
      retry: false,
      queryFn: () => ask(api.GET("/api/benchmarks")),
    }),
  benchmark: (name: string) =>
    queryOptions({
      queryKey: ["benchmark", name],
      queryFn: () => ask(api.GET("/api/benchmarks/{name}", { params: { path: { name } } })),
    }),
};

/** The keys under which lies what an event changes. */
export function touched(event: Pick<Event, "kind" | "incident" | "subject">): string[][] {
  const keys: string[][] = [["status"]];
  const about = event.kind.split(".")[0];
  if (event.incident) keys.push(["incidents"], ["incident", event.incident]);
  if (event.subject.startsWith("inc-")) keys.push(["incidents"], ["incident", event.subject]);
  if (about === "approval") keys.push(["approvals"]);
  if (about === "fix" || about === "fixes") keys.push(["fixes"], ["evaluation"]);
  if (about === "health" || about === "resource" || about === "change") keys.push(["resource"], ["map"]);
  if (["alert", "fix", "change", "resource", "incident"].includes(about ?? "")) keys.push(["story"]);
  if (about === "runbook") keys.push(["drafts"], ["runbooks"]);
  if (about === "rule") keys.push(["rules"]);
  if (about === "token") keys.push(["tokens"]);
  if (about === "mode") keys.push(["mode"], ["policy"]);
  if (about === "policy") keys.push(["policy"]);
  if (about === "llm") keys.push(["interactions"], ["llm"]);
  return keys;
}

const GATHER_MS = 300;
const SCROLLS_MS = 150;
const LATEST_MS = 1_200;

/** Asks again for what lies under a key; what is being asked for the first time, once that is answered: the answer may be
 * of before. */
export function askAgain(queryKey: string[]): void {
  const first = client
    .getQueryCache()
    .findAll({ queryKey, fetchStatus: "fetching" })
    .filter(({ state }) => state.data === undefined);
  void client.invalidateQueries({ queryKey });
  if (first.length > 0)
    void Promise.allSettled(first.map(({ promise }) => promise)).then(() => client.invalidateQueries({ queryKey }));
}

/** Asks again for what an event has changed; of many events at once, once; while somebody scrolls, a little later. */
export function keepCurrent(): void {
  const waiting = new Map<string, string[]>();
  let scrolled = 0;
  let first = 0;
  window.addEventListener("scroll", () => (scrolled = Date.now()), { passive: true });
  function flush() {
    if (Date.now() - scrolled < SCROLLS_MS && Date.now() - first < LATEST_MS) {
      setTimeout(flush, SCROLLS_MS);
      return;
    }
    const keys = [...waiting.values()];
    waiting.clear();
    keys.forEach(askAgain);
  }
  live.follow((event) => {
    if (waiting.size === 0) {
      first = Date.now();
      setTimeout(flush, GATHER_MS);
    }
    touched(event).forEach((key) => waiting.set(key.join("/"), key));
  });
  live.onReturn(() => void client.invalidateQueries());
  live.start();
}
