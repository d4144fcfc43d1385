import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { QueryClientProvider } from "@tanstack/react-query";
import { beforeEach, expect, it, vi } from "vitest";
import { client } from "~/api/queries";
import { token } from "~/api/token";
import { Refusal } from "~/api/client";
import { Act } from "./Act";
import { HealthBadge } from "./Health";

beforeEach(() => sessionStorage.clear());

function shown(run: () => Promise<unknown>) {
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={client}>
        <Act label="Stop" says="No further step is begun." run={run} />
      </QueryClientProvider>
    </MantineProvider>,
  );
}

it("tells each health by a word and a shape of its own", () => {
  const shapes = (["HEALTHY", "DEGRADED", "FAILED", "UNKNOWN"] as const).map((health) => {
    const { container, unmount } = render(<HealthBadge health={health} />);
    expect(container).toHaveTextContent(health[0] + health.slice(1).toLowerCase());
    const shape = container.querySelector("svg")?.innerHTML;
    unmount();
    return shape;
  });
  expect(new Set(shapes).size).toBe(4);
});

it("says what a button will do before it does it, and does it then", async () => {
  token.set("wk");
  const run = vi.fn(() => Promise.resolve());
  shown(run);
  await userEvent.click(screen.getByRole("button", { name: "Stop" }));
  expect(await screen.findByText("No further step is begun.")).toBeInTheDocument();
  expect(run).not.toHaveBeenCalled();
  await userEvent.click(screen.getAllByRole("button", { name: "Stop" }).at(-1) as HTMLElement);
  expect(run).toHaveBeenCalledOnce();
});

it("tells why something was refused, and what to do next", async () => {
  token.set("wk");
  shown(() => Promise.reject(new Refusal(409, "The plan has changed.", "Look at it again.")));
  await userEvent.click(screen.getByRole("button", { name: "Stop" }));
  await screen.findByText("No further step is begun.");
  await userEvent.click(screen.getAllByRole("button", { name: "Stop" }).at(-1) as HTMLElement);
  expect(await screen.findByText("The plan has changed.")).toBeInTheDocument();
  expect(screen.getByText("Look at it again.")).toBeInTheDocument();
});

it("asks whoever has no token for one first", async () => {
  token.set("");
  const run = vi.fn(() => Promise.resolve());
  shown(run);
  await userEvent.click(screen.getByRole("button", { name: "Stop" }));
  expect(await screen.findByLabelText(/Token/)).toBeInTheDocument();
  expect(run).not.toHaveBeenCalled();
});
