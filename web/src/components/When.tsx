import { useSyncExternalStore } from "react";
import { ago } from "./figures";

const told = new Set<() => void>();
let now = Date.now();
setInterval(() => {
  now = Date.now();
  told.forEach((one) => one());
}, 1000);

/** The time, to the second. */
export function useNow(): number {
  return useSyncExternalStore(
    (one) => {
      told.add(one);
      return () => told.delete(one);
    },
    () => now,
  );
}

/** How long ago, or where it `lasts` for how long; the exact time on hover. */
export function When({ at, lasts = false }: { at: string; lasts?: boolean }) {
  const present = useNow();
  const said = ago(at, present);
  return (
    <time dateTime={at} title={new Date(at).toLocaleString("en-GB", { timeZoneName: "short" })} className="figure">
      {lasts ? said.replace(/^(.*) ago$/, "for $1") : said}
    </time>
  );
}
