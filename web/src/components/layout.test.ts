import { expect, it } from "vitest";
import { columns, lay, type Layout } from "./layout";

const SIZES = { wide: 172, high: 46, gap: 40, space: 16, lane: 12 };
type Edge = { source: string; target: string };
const edges = (...said: string[]): Edge[] =>
  said.map((one) => ({ source: one.split(" ")[0] ?? "", target: one.split(" ")[1] ?? "" }));
const names = (of: Edge[]): string[] => [...new Set(of.flatMap(({ source, target }) => [source, target]))];

/** The points along a line, in steps of its curves. */
function points(path: string): { x: number; y: number }[] {
  const found: { x: number; y: number }[] = [];
  for (const [, letter, said] of path.matchAll(/([MLC])([^MLC]+)/g)) {
    const to = (said ?? "").trim().split(/\s+/).map(Number);
    const last = found.at(-1) ?? { x: to[0] ?? 0, y: to[1] ?? 0 };
    const all = [last.x, last.y, ...(letter === "C" ? to : [last.x, last.y, ...to, ...to])];
    for (let step = 0; step <= 20; step++) {
      const t = step / 20;
      const at = (axis: number) =>
        [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t ** 2 * (1 - t), t ** 3].reduce(
          (sum, weight, index) => sum + weight * (all[2 * index + axis] ?? 0),
          0,
        );
      found.push({ x: at(0), y: at(1) });
    }
  }
  return found;
}

function behind({ boxes, lines }: Layout<Edge>): string[] {
  return lines.flatMap(({ edge, path }) =>
    [...boxes].flatMap(([id, { x, y }]) =>
      points(path).some((at) => at.x > x + 1 && at.x < x + SIZES.wide - 1 && at.y > y - 1 && at.y < y + SIZES.high + 1)
        ? [`${edge.source} → ${edge.target} behind ${id}`]
        : [],
    ),
  );
}

const COMPANY = edges(
  "edge ranker-1",
  "edge ranker-2",
  "edge edge-container",
  "ranker-1 features",
  "ranker-1 pgbouncer",
  "ranker-2 features",
  "ranker-2 pgbouncer",
  "featurizer features",
  "features features-container",
  "pgbouncer postgres",
  "worker queue",
  "worker postgres",
  "worker pgbouncer",
  "queue queue-container",
  "report postgres",
  "postgres postgres-container",
);

it("draws no line behind a box that it does not lead to", () => {
  expect(behind(lay(names(COMPANY), COMPANY, SIZES))).toEqual([]);
});

it("leads back where things need each other in a ring, and still behind no box", () => {
  const ring = edges("a b", "b c", "c d", "d a", "a x", "b b");
  const layout = lay(names(ring), ring, SIZES);
  expect(layout.lines.map(({ edge }) => `${edge.source}${edge.target}`)).toEqual(["ab", "bc", "cd", "da", "ax"]);
  expect(behind(layout)).toEqual([]);
});

it("puts what is needed right of all that need it, and boxes apart", () => {
  const at = columns(names(COMPANY), COMPANY);
  for (const { source, target } of COMPANY) expect(at.get(target)).toBeGreaterThan(at.get(source) ?? NaN);
  const { boxes, width, height } = lay(names(COMPANY), COMPANY, SIZES);
  const all = [...boxes.values()];
  all.forEach((one, index) => {
    expect(one.x + SIZES.wide).toBeLessThanOrEqual(width);
    expect(one.y).toBeGreaterThanOrEqual(-0.1);
    expect(one.y + SIZES.high).toBeLessThanOrEqual(height + 0.1);
    all.slice(index + 1).forEach((other) => {
      expect(one.x !== other.x || Math.abs(one.y - other.y) >= SIZES.high + SIZES.space - 0.2).toBe(true);
    });
  });
});

it("lays out a thousand at once, however they need each other", () => {
  const floors = Array.from({ length: 2000 }, (_, one) => ({
    source: `m${(one * 7919) % 700}`,
    target: `m${700 + ((one * 104_729) % 300)}`,
  }));
  const tangle = floors.map(({ source }, one) => ({ source, target: `m${(one * 104_729) % 997}` }));
  const began = performance.now();
  for (const many of [floors, tangle]) expect(lay(names(many), many, SIZES).boxes.size).toBe(names(many).length);
  expect(performance.now() - began).toBeLessThan(10_000); // on a machine that does much else
});
