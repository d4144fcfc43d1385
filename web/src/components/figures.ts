/** Numbers as people read them: the unit is in the name of a metric (`_ratio`, `_bytes`, `_seconds`). */

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

const digits = (value: number, most = 1): string =>
  value.toLocaleString("en-GB", {
    maximumFractionDigits: Math.abs(value) < 10 && value % 1 !== 0 ? Math.max(most, 2) : most,
  });

export function bytes(value: number): string {
  let power = 0;
  while (Math.abs(value) >= 1024 && power < SIZES.length - 1) {
    value /= 1024;
    power++;
  }
  return `${digits(value)} ${SIZES[power]}`;
}

export function seconds(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.001) return `${digits(value * 1e6, 0)} µs`;
  if (value !== 0 && Math.abs(value) < 1) return `${digits(value * 1000)} ms`;
  if (Math.abs(value) < 59.95) return `${digits(value)} s`;
  if (Math.abs(value) < 599.5) {
    const whole = Math.round(Math.abs(value));
    const [sign, rest] = [value < 0 ? "-" : "", whole % 60];
    return `${sign}${Math.floor(whole / 60)} min${rest ? ` ${rest} s` : ""}`;
  }
  if (Math.abs(value) < 7200) return `${digits(value / 60)} min`;
  if (Math.abs(value) < 172800) return `${digits(value / 3600)} h`;
  return `${digits(value / 86400)} d`;
}

/** A reading with its unit. */
export function figure(name: string, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (/_ratio(_|$)/.test(name)) return `${digits(value * 100)} %`;
  if (/_bytes_per_second$/.test(name)) return `${bytes(value)}/s`;
  if (/_per_second$/.test(name)) return `${digits(value)} /s`;
  if (/_bytes$/.test(name)) return bytes(value);
  if (/_seconds$/.test(name)) return seconds(value);
  return digits(value, 2);
}

/** `used_memory_ratio` → `used memory`. */
export const words = (name: string): string =>
  name.replace(/_(ratio|bytes|seconds|per_second)$/g, "").replaceAll("_", " ");

/** How long ago, or ahead, in one unit. */
export function ago(at: string, from: number): string {
  const exactly = (from - Date.parse(at)) / 1000;
  const lasted = exactly < 0 && exactly > -2 ? 0 : exactly; // the page's clock ticks once a second
  const size = Math.abs(lasted);
  const said =
    size < 60
      ? `${Math.round(size)} s`
      : size < 3600
        ? `${Math.floor(size / 60)} min`
        : size < 86400
          ? `${Math.floor(size / 3600)} h`
          : `${Math.floor(size / 86400)} d`;
  return lasted >= -0.5 ? `${said} ago` : `in ${said}`;
}

export interface Threshold {
  value: number;
  rule: string;
}

/** The limits that a rule's condition compares a metric with: `reading.used_memory_ratio > 0.95`. What is 0 or 1 is yes or no. */
export function thresholds(
  rules: { rule: string; when: string; kind: string }[],
  kind: string,
  metric: string,
): Threshold[] {
  const found = rules
    .filter((rule) => rule.kind === kind)
    .flatMap((rule) =>
      [...rule.when.matchAll(/reading\.(\w+)\s*[<>]=?\s*(-?\d+(?:\.\d+)?)/g)]
        .filter(([, name]) => name === metric)
        .map(([, , value]) => ({ value: Number(value), rule: rule.rule })),
    );
  const counted = /_(ratio|bytes|seconds|per_second)$/.test(metric);
  return found.filter(
    ({ value }, index) =>
      (counted || value > 1) && value !== 0 && found.findIndex((other) => other.value === value) === index,
  );
}

/** The last part of an id: `docker/lab/redis/cache` → `cache`. */
export const short = (id: string): string => id.slice(id.lastIndexOf("/") + 1);
