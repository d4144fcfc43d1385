import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { live } from "~/api/live";
import { client } from "~/api/queries";
import { Refusal } from "~/api/client";
import { Broken, came } from "./Broken";
import { Stale } from "./Stale";

const STATUS = { items: [], total: 0, counts: {}, problems: {}, maintenance: [] };

beforeEach(() => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no server")));
});
afterEach(() => {
  live.connection = "connecting";
  client.clear();
  vi.unstubAllGlobals();
});

const shown = (what: React.ReactNode) =>
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={client}>{what}</QueryClientProvider>
    </MantineProvider>,
  );

it("says that what is shown is old where nothing comes any more, and takes its colours away", () => {
  client.setQueryData(["status"], STATUS, { updatedAt: Date.now() - 40_000 });
  live.connection = "lost";
  const { unmount } = shown(<Stale />);
  expect(screen.getByRole("status")).toHaveTextContent(/Nothing comes from the server for \d+ s/);
  expect(document.documentElement).toHaveAttribute("data-stale");
  unmount();
});

it("says nothing of it while figures come", () => {
  client.setQueryData(["status"], STATUS, { updatedAt: Date.now() });
  live.connection = "live";
  const { container } = shown(<Stale />);
  expect(container).not.toHaveTextContent("Nothing comes");
  expect(document.documentElement).not.toHaveAttribute("data-stale");
});

it("keeps the console where a page's file does not come, and says so", async () => {
  const refused = await came(Promise.reject(new TypeError("Failed to fetch dynamically imported module"))).catch(
    (problem: unknown) => problem,
  );
  expect(refused).toBeInstanceOf(Refusal);
  live.connection = "lost";
  shown(<Broken error={refused} />);
  expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Not here yet");
  expect(screen.getByRole("alert")).toHaveTextContent("asked for again once the server answers");
});
