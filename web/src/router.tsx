import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Broken, came, NotFound } from "./components/Broken";
import { Shell } from "./components/Shell";
import { Overview } from "./pages/overview/Overview";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
});

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);

export interface Filter {
  provider?: string;
  kind?: string;
  q?: string;
  /** Instead of the list: what needs what. */
  view?: "map";
}

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: Overview,
  validateSearch: (search): Filter => ({
    provider: text(search.provider),
    kind: text(search.kind),
    q: text(search.q),
    view: search.view === "map" ? "map" : undefined,
  }),
});
const incidents = createRoute({
  getParentRoute: () => root,
  path: "/incidents",
  component: lazyRouteComponent(() => came(import("./pages/incidents/Incidents")), "Incidents"),
});
const incident = createRoute({
  getParentRoute: () => root,
  path: "/incidents/$key",
  component: lazyRouteComponent(() => came(import("./pages/incident/Incident")), "IncidentPage"),
});
const resource = createRoute({
  getParentRoute: () => root,
  path: "/resources/$slug",
  component: lazyRouteComponent(() => came(import("./pages/resource/Resource")), "ResourcePage"),
});
const approvals = createRoute({
  getParentRoute: () => root,
  path: "/approvals",
  component: lazyRouteComponent(() => came(import("./pages/approvals/Approvals")), "Approvals"),
});
/** Of which a history may be: of the last so many days. */
export const DAYS = ["1", "7", "30", "90"];

const fixes = createRoute({
  getParentRoute: () => root,
  path: "/fixes",
  component: lazyRouteComponent(() => came(import("./pages/fixes/Fixes")), "Fixes"),
  validateSearch: (search): { resource?: string; author?: string; verdict?: string; days?: string } => ({
    resource: text(search.resource),
    author: text(search.author),
    verdict: text(search.verdict),
    days: DAYS.find((days) => days === String(search.days)),
  }),
});
const alerts = createRoute({
  getParentRoute: () => root,
  path: "/alerts",
  component: lazyRouteComponent(() => came(import("./pages/alerts/Alerts")), "Alerts"),
});
const map = createRoute({
  getParentRoute: () => root,
  path: "/map",
  component: lazyRouteComponent(() => came(import("./pages/map/Map")), "MapPage"),
});
const runbooks = createRoute({
  getParentRoute: () => root,
  path: "/runbooks",
  component: lazyRouteComponent(() => came(import("./pages/runbooks/Runbooks")), "Runbooks"),
});
const tools = createRoute({
  getParentRoute: () => root,
  path: "/tools",
  component: lazyRouteComponent(() => came(import("./pages/tools/Tools")), "Tools"),
  validateSearch: (search): { tool?: string; resource?: string } => ({
    tool: text(search.tool),
    resource: text(search.resource),
  }),
});
const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(() => came(import("./pages/settings/Settings")), "Settings"),
});
const interactions = createRoute({
  getParentRoute: () => root,
  path: "/interactions",
  component: lazyRouteComponent(() => came(import("./pages/model/Interactions")), "Interactions"),
});
const failures = createRoute({
  getParentRoute: () => root,
  path: "/failures",
  component: lazyRouteComponent(() => came(import("./pages/failures/Failures")), "Failures"),
});
const validation = createRoute({
  getParentRoute: () => root,
  path: "/validation",
  component: lazyRouteComponent(() => came(import("./pages/validation/Validation")), "Validation"),
});
const chat = createRoute({
  getParentRoute: () => root,
  path: "/chat",
  component: lazyRouteComponent(() => came(import("./pages/chat/Chat")), "Chat"),
  validateSearch: (search): { conversation?: string } => ({ conversation: text(search.conversation) }),
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview,
    incidents,
    incident,
    resource,
    approvals,
    fixes,
    alerts,
    map,
    runbooks,
    tools,
    settings,
    interactions,
    failures,
    validation,
    chat,
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: Broken,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
