import { expect, it } from "vitest";
import { asking, clock, heard, pieces } from "./talk";

const cited = { mark: "[R1]", kind: "reading", id: "1", href: "/resources/cache", said: "98 % of maxmemory" };
const event = (event: string, data: unknown) => ({ id: "", event, data: JSON.stringify(data) });

it("puts an answer together from what comes, and begins anew where another model does", () => {
  let turn = asking("why?");
  turn = heard(turn, event("text", { delta: "Because" }));
  turn = heard(turn, event("look", { tool: "redis_info", arguments: {} }));
  expect([turn.text, turn.looks.length]).toEqual(["Because", 1]);
  turn = heard(turn, event("again", { model: "other", why: "it broke off" }));
  expect(turn.text).toBe("");
  turn = heard(turn, event("text", { delta: "It is full [R1]" }));
  turn = heard(turn, event("done", { text: "It is full [R1].", citations: [cited], tokens: 12, model: "m" }));
  expect([turn.text, turn.citations, turn.tokens]).toEqual(["It is full [R1].", [cited], 12]);
});

it("makes a link of a mark that stands for something, and of no other", () => {
  expect(pieces("Full [R1], not [R9].", [cited])).toEqual(["Full ", cited, ", not ", "[R9]", "."]);
});

it("tells the asker's own time", () => {
  expect(Date.parse(clock(new Date("2026-11-23T09:05:00Z")))).toBe(Date.parse("2026-11-23T09:05:00Z"));
});
