import { expect, it } from "vitest";
import { split } from "./stream";
import { touched } from "./queries";

it("reads events as they come, in whatever pieces", () => {
  const said = 'retry: 2000\n\nid: 7\nevent: fix.healed\ndata: {"seq": 7}\n\nid: 8\nda';
  const { whole, rest } = split(said);
  expect(whole.at(-1)).toEqual({ id: "7", event: "fix.healed", data: '{"seq": 7}' });
  expect(rest).toBe("id: 8\nda");
  expect(split(`${rest}ta: {}\n\n`).whole).toEqual([{ id: "8", event: "", data: "{}" }]);
});

it("asks again for what an event has changed, and for nothing else", () => {
  const keys = touched({ kind: "approval.requested", subject: "apr-1", incident: "inc-1" });
  expect(keys).toContainEqual(["approvals"]);
  expect(keys).toContainEqual(["incident", "inc-1"]);
  expect(keys).not.toContainEqual(["fixes"]);
});
