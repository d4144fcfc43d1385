import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Schemas } from "~/api/client";
import { asked, client } from "~/api/queries";
import { Curves } from "./Curves";

const OPENED = "2026-11-23T14:40:00Z";
const SLUGS = ["books-nginx", "books-shop"];

/** What the page reads of an incident that is open, with an alert of each of two resources. */
const detail = {
  incident: {
    root: "http/books-nginx",
    opened_at: OPENED,
    closed_at: null,
    alerts: SLUGS.map((slug) => ({ resource: `http/${slug}`, rule: "errors", firing_at: OPENED })),
  },
  fixes: [],
} as unknown as Schemas["IncidentDetail"];

it("writes above the readings of each resource whose they are", async () => {
  const when = "reading.failing > 0";
  const items = SLUGS.map((slug) => ({ id: `http/${slug}`, slug, kind: "http" }));
  client.setQueryData<unknown>(asked.rules().queryKey, { items: [{ rule: "errors", kind: "http", when }] });
  client.setQueryData<unknown>(asked.status().queryKey, { items });
  for (const slug of SLUGS)
    client.setQueryData<unknown>(asked.between(slug, "2026-11-23T14:38:00.000Z", null).queryKey, {
      points: [0, 2].map((seconds) => ({ at: `2026-11-23T14:40:0${seconds}Z`, metrics: { failing: 1 } })),
      of: 2,
    });
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={client}>
        <Curves detail={detail} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  for (const slug of SLUGS) {
    const part = within(screen.getByRole("region", { name: `Readings of ${slug}` }));
    expect(part.getByRole("heading", { name: slug })).toBeVisible();
    expect(await part.findByRole("img", { name: /^failing over time/i })).toBeInTheDocument();
  }
});
