import { render } from "@testing-library/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { expect, it } from "vitest";
import { asked, client } from "~/api/queries";
import { Sparkline } from "./Sparkline";
import { stretches } from "./gaps";

const T0 = Date.parse("2026-11-23T14:40:00Z");

/** How many readings each stretch has, of readings so many seconds apart. */
function parted(...apart: number[]): number[] {
  let at = T0;
  return stretches([{ at }, ...apart.map((seconds) => ({ at: (at += seconds * 1000) }))]).map(({ length }) => length);
}

it.each<[string, number[], number[]]>([
  ["nobody looked for 100 s", [2, 2, 2, 100, 2, 2], [4, 3]],
  ["nobody looked for half a minute", [2, 2, 30, 2, 2], [3, 3]],
  ["one look between two times in which nobody did", [2, 2, 200, 2, 200, 2, 2], [3, 2, 3]],
  ["nobody looked for ten minutes at one a minute", [60, 60, 600, 2, 2], [3, 3]],
])("breaks where %s", (_, apart, lengths) => expect(parted(...apart)).toEqual(lengths));

it.each<[string, number[]]>([
  ["all of it is one a minute", [60, 62, 61, 60]],
  ["one a minute becomes one every 2 s", [60, 60, 2, 2, 0.2, 0.2, 2, 60, 60]],
  ["it begins with the last that was kept of quiet times", [40, 2, 2, 2]],
  ["a single minute is quiet between two incidents", [2, 2, 61, 2, 2]],
  ["a look takes long", [0.2, 0.2, 6, 0.2, 0.2]],
  ["it is thinned out to one in ten minutes", [600, 590, 610, 20, 20, 300, 600]],
  ["there are only two", [500]],
  ["there is only one", []],
])("is one line where %s", (_, apart) => expect(parted(...apart)).toHaveLength(1));

it("draws no line in a sparkline over the time in which nobody looked", () => {
  const points = [0, 15, 30, 400, 415, 430].map((seconds) => ({
    at: new Date(T0 + seconds * 1000).toISOString(),
    metrics: { used_ratio: seconds / 1000 },
  }));
  client.setQueryData(asked.curve("books", 15, 60, "used_ratio").queryKey, { points, of: 6 });
  const { container } = render(
    <QueryClientProvider client={client}>
      <Sparkline slug="books" metric="used_ratio" />
    </QueryClientProvider>,
  );
  const lines = [...container.querySelectorAll("polyline")].map((line) => line.getAttribute("points")?.split(" "));
  expect(lines.map((line) => line?.length)).toEqual([3, 3]);
});
