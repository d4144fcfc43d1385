import { describe, expect, it } from "vitest";
import { ago, figure, thresholds, words } from "./figures";

describe("a figure", () => {
  it.each([
    ["used_memory_ratio", 0.9712, "97.1 %"],
    ["used_memory_bytes", 3 * 1024 * 1024, "3 MiB"],
    ["latency_seconds", 0.0042, "4.2 ms"],
    ["took_seconds", 114, "1 min 54 s"],
    ["took_seconds", 119.8, "2 min"],
    ["took_seconds", 840, "14 min"],
    ["uptime_seconds", 86_400 * 3, "3 d"],
    ["network_bytes_per_second", 2048, "2 KiB/s"],
    ["clients", 1234, "1,234"],
  ])("of %s has its unit", (name, value, said) => {
    expect(figure(name, value)).toBe(said);
  });

  it("that is not there is not zero", () => {
    expect(figure("clients", null)).toBe("–");
    expect(figure("clients", undefined)).toBe("–");
  });

  it("has a name without its unit", () => {
    expect(words("used_memory_ratio")).toBe("used memory");
  });
});

it("tells how long ago, and how long from now", () => {
  const now = Date.parse("2026-11-22T12:00:00Z");
  expect(ago("2026-11-22T11:59:18Z", now)).toBe("42 s ago");
  expect(ago("2026-11-22T14:00:00Z", now)).toBe("in 2 h");
});

describe("a threshold", () => {
  const rule = { rule: "full", kind: "redis", when: "reading.used_memory_ratio > 0.95 && reading.evicts < 1" };

  it("is what a rule compares a metric with", () => {
    expect(thresholds([rule], "redis", "used_memory_ratio")).toEqual([{ value: 0.95, rule: "full" }]);
  });

  it("is none where it says yes or no, or is about something else", () => {
    expect(thresholds([rule], "redis", "evicts")).toEqual([]);
    expect(thresholds([rule], "postgres", "used_memory_ratio")).toEqual([]);
  });
});
