import { Spotlight, type SpotlightActionData } from "@mantine/spotlight";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { asked } from "~/api/queries";
import type { Page } from "./Shell";

/** Ctrl-K: everything that has an address. */
export function Palette({ pages }: { pages: Page[] }) {
  const navigate = useNavigate();
  const { data: status } = useQuery(asked.status());
  const { data: incidents } = useQuery(asked.lately());
  const [typed, setTyped] = useState("");
  const key = /inc-[\w-]+/.exec(typed)?.[0];
  const actions: SpotlightActionData[] = [
    ...pages.map(({ to, name }) => ({
      id: to,
      label: name,
      description: "Page",
      onClick: () => void navigate({ to }),
    })),
    ...(status?.items ?? []).map(({ id, slug, health }) => ({
      id: `resource ${id}`,
      label: slug,
      description: `${health.toLowerCase()} · ${id}`,
      onClick: () => void navigate({ to: "/resources/$slug", params: { slug } }),
    })),
    ...(incidents?.items ?? []).map(({ id, title, said }) => ({
      id,
      label: title,
      description: `incident ${id}, ${said}`,
      onClick: () => void navigate({ to: "/incidents/$key", params: { key: id } }),
    })),
    ...(key && !incidents?.items.some(({ id }) => id === key)
      ? [
          {
            id: key,
            label: `Incident ${key}`,
            description: "By its name, however long ago",
            onClick: () => void navigate({ to: "/incidents/$key", params: { key } }),
          },
        ]
      : []),
  ];
  return (
    <Spotlight
      actions={actions}
      query={typed}
      onQueryChange={setTyped}
      shortcut="mod + K"
      limit={12}
      nothingFound="Nothing has that name"
      searchProps={{ placeholder: "A resource, an incident, a page", "aria-label": "Search" }}
      attributes={{ content: { "aria-label": "Search" } }}
      transitionProps={{ duration: 0 }}
    />
  );
}
