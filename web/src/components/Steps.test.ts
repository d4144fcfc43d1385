import { expect, test } from "vitest";
import type { Event } from "~/api/client";
import { folded, inOrder } from "~/pages/incident/Story";
import { sentence } from "~/pages/settings/Policy";
import { bounds, fields, values } from "~/pages/tools/Call";
import { inUnits, sayings } from "./Steps";

const event = (seq: number, kind: string, said: string[] = [], subject = "fix-1"): Event =>
  ({
    seq,
    kind,
    subject,
    by: "",
    at: "2026-01-01T00:00:00Z",
    text: said.at(-1) ?? kind,
    data: { index: 0, said },
  }) as Event;

test("what a step says is told in its order, and not of another fix", () => {
  const events = [
    event(1, "fix.step.acting"),
    event(2, "fix.step.said", ["one", "two"]),
    event(3, "fix.step.said", ["other"], "fix-2"),
    event(4, "fix.step.said", ["three"]),
  ];
  expect(sayings(events, "fix-1")).toEqual(new Map([[0, ["one", "two", "three"]]]));
});

test("the time line has the last of what is said on and on", () => {
  const events = [
    event(1, "fix.step.acting"),
    event(2, "fix.step.said", ["10 left"]),
    event(3, "fix.step.said", ["none left"]),
    event(4, "fix.step.done"),
  ];
  expect(inOrder(events).map(({ seq }) => seq)).toEqual([1, 3, 4]);
});

test("a row of policy is read as a sentence", () => {
  const row = { read: "allow", reversible: "ask", disruptive: "ask", destructive: "deny" };
  expect(sentence(row)).toBe(
    "By itself: looking. After a yes: changes that can be set back, interruptions that lose no data but declared caches. Never: what loses data.",
  );
});

test("what a tool gave is told in the units that its names and its schema tell", () => {
  expect(inUnits({ before: 69330760, now: 161061273 }, ["value"])).toEqual([
    ["before", "66.1 MiB"],
    ["now", "153.6 MiB"],
  ]);
  expect(inUnits({ before: 100, now: 200 })).toEqual([
    ["before", "100"],
    ["now", "200"],
  ]);
  expect(inUnits({ removed: 12345, used_memory_ratio: 0.61 })).toEqual([
    ["removed", "12,345"],
    ["used memory", "61 %"],
  ]);
  expect(inUnits([{ at: 1 }])).toBeNull();
  expect(inUnits({ rows: [1, 2] })).toBeNull();
});

test("an argument in bytes is taken as people write it, and its bounds are told so", () => {
  const all = fields({
    properties: { value: { type: "integer", unit: "bytes", minimum: 1048576 } },
    required: ["value"],
  });
  expect(all.map(bounds)).toEqual(["at least 1 MiB"]);
  expect(values(all, { value: "64mb" })).toEqual({ value: "64mb" });
  expect(values(all, { value: "67108864" })).toEqual({ value: 67108864 });
});

test("of many of one kind in a row the first and the last are told, and how many lie between; all on request", () => {
  const events = [...Array(40).keys()].map((seq) => event(seq, "alert.firing")).concat(event(40, "incident.opened"));
  expect(folded(events).map((one) => [one.event.seq, one.more])).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
    [38, 35],
    [39, 0],
    [40, 0],
  ]);
  expect(folded(events, true)).toHaveLength(41);
});
