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

/** How long ago; the exact time on hover. */
export function When({ at }: { at: string }) {
  const present = useNow();
  return (
    <time dateTime={at} title={new Date(at).toLocaleString("en-GB", { timeZoneName: "short" })} className="figure">
      {ago(at, present)}
    </time>
  );
}
