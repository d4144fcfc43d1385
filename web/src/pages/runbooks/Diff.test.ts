import { expect, it } from "vitest";
import { compared } from "./Diff";

const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join("");

it("shows what differs with three lines around it, and how many are the same", () => {
  const found = compared(lines(20), lines(20).replace("line 10\n", "line ten\n"));
  expect(found.map(({ sign }) => sign).join("")).toBe("…   −+   …");
  expect(found[0]?.text).toBe("6 lines are the same");
});

it("shows a text that is all new whole", () => {
  expect(compared("", "a\nb\n")).toEqual([
    { sign: "+", text: "a" },
    { sign: "+", text: "b" },
  ]);
});
