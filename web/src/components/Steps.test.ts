import { expect, test } from "vitest";
import type { Event } from "~/api/client";
import { inOrder } from "~/pages/incident/Story";
import { sentence } from "~/pages/settings/Policy";
import { sayings } from "./Steps";

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
    "By itself: looking. After a yes: changes that can be set back, interruptions that lose nothing. Never: what loses data.",
  );
});
