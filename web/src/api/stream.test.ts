import { QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { split } from "./stream";
import { askAgain, client, touched } from "./queries";

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

it("asks once more where something happened while it was asked for the first time", async () => {
  let answer: (said: string) => void = () => undefined;
  const queryFn = vi.fn(() => new Promise<string>((resolve) => (answer = resolve)));
  const watched = new QueryObserver(client, { queryKey: ["slow", "list"], queryFn, retry: false });
  const leave = watched.subscribe(() => undefined);
  expect(queryFn).toHaveBeenCalledTimes(1);
  askAgain(["slow"]);
  expect(queryFn).toHaveBeenCalledTimes(1);
  answer("before");
  await vi.waitFor(() => expect(queryFn).toHaveBeenCalledTimes(2));
  answer("after");
  await vi.waitFor(() => expect(watched.getCurrentResult().data).toBe("after"));
  leave();
});
