import { AppShell, Burger, Group, Text, UnstyledButton, VisuallyHidden } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { spotlight } from "@mantine/spotlight";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { Suspense, useEffect, useState } from "react";
import { live } from "~/api/live";
import { asked } from "~/api/queries";
import { Header } from "./Header";
import { Palette } from "./Palette";
import { Shortcuts } from "./Shortcuts";
import { Stale } from "./Stale";
import { Failed, refused } from "./States";
import { Title } from "./Title";

export interface Page {
  to:
    | "/"
    | "/incidents"
    | "/approvals"
    | "/fixes"
    | "/alerts"
    | "/map"
    | "/runbooks"
    | "/tools"
    | "/settings"
    | "/interactions"
    | "/failures"
    | "/validation"
    | "/chat";
  name: string;
  key?: string;
}

const PAGES: Page[] = [
  { to: "/", name: "Overview", key: "o" },
  { to: "/incidents", name: "Incidents", key: "i" },
  { to: "/approvals", name: "Approvals", key: "a" },
  { to: "/chat", name: "Chat", key: "c" },
  { to: "/fixes", name: "Fix history", key: "f" },
  { to: "/alerts", name: "Alerts", key: "l" },
  { to: "/map", name: "Map", key: "m" },
  { to: "/runbooks", name: "Runbooks", key: "r" },
  { to: "/tools", name: "Tools", key: "t" },
  { to: "/settings", name: "Settings", key: "s" },
];

/** The pages that have something behind them here. */
export function usePages(): Page[] {
  const { data: settings } = useQuery(asked.settings());
  const llm = useQuery(asked.llm());
  return [
    ...PAGES,
    ...(llm.data?.configured ? [{ to: "/interactions", name: "Model interactions" } as const] : []),
    ...(settings?.settings.lab
      ? ([
          { to: "/failures", name: "Failures", key: "x" },
          { to: "/validation", name: "Validation", key: "v" },
        ] as const)
      : []),
  ];
}

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const pages = usePages();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const { data: approvals } = useQuery(asked.approvals());
  const me = useQuery(asked.me());
  const waiting = approvals?.items.length ?? 0;
  useEffect(close, [path, close]);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 200, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding={{ base: "sm", sm: "lg" }}
      transitionDuration={0}
    >
      <a href="#main" className="skip">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px="sm" gap="sm" wrap="nowrap" justify="space-between">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Pages" />
            <Link to="/" className="brand" aria-label="Watchkeeper">
              <img src="/icon.svg" alt="" width="24" height="24" />
              <Text fw={700} visibleFrom="xs">
                Watchkeeper
              </Text>
            </Link>
          </Group>
          <Header />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Pages">
        {pages.map((page) => (
          <Link
            key={page.to}
            to={page.to}
            className="nav"
            activeOptions={{ exact: page.to === "/", includeSearch: false }}
            activeProps={{ "data-active": true, "aria-current": "page" }}
          >
            <span>{page.name}</span>
            {page.to === "/approvals" && waiting > 0 && (
              <span className="count" aria-label={`${waiting} waiting`}>
                {waiting}
              </span>
            )}
          </Link>
        ))}
        <UnstyledButton className="nav" onClick={spotlight.open} mt="auto">
          <span>Search</span>
          <kbd>Ctrl K</kbd>
        </UnstyledButton>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        {refused(me.error) ? (
          <>
            <Title name="Not signed in" />
            <Failed error={me.error} />
          </>
        ) : (
          <Suspense>
            <Outlet />
          </Suspense>
        )}
      </AppShell.Main>
      <Palette pages={pages} />
      <Shortcuts pages={pages} />
      <Announcer />
      <Stale />
    </AppShell>
  );
}

/** Tells who cannot see the page what has changed its health. */
function Announcer() {
  const [said, setSaid] = useState("");
  useEffect(
    () =>
      live.follow((event) => {
        if (event.kind === "health.changed" || event.kind === "incident.opened" || event.kind === "approval.requested")
          setSaid(event.text);
      }),
    [],
  );
  return (
    <VisuallyHidden role="status" aria-live="polite">
      {said}
    </VisuallyHidden>
  );
}
