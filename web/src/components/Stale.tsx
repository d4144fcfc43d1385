import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useConnection } from "~/api/live";
import { asked } from "~/api/queries";
import { seconds } from "./figures";
import { useNow } from "./When";

const OLD_MS = 9_000; // twice as long as figures take to come, and more

/** For how long nothing has come although it was asked for, in seconds; null while it comes. */
export function useStale(): number | null {
  const status = useQuery(asked.status());
  const connection = useConnection();
  const now = useNow();
  const age = now - status.dataUpdatedAt;
  const asks = connection === "lost" || connection === "refused" || status.failureCount > 0;
  return status.data && asks && age > OLD_MS ? age / 1000 : null;
}

/** Says on every page that what is there may not be true any more, and takes its colours away: green is not healthy then. */
export function Stale() {
  const age = useStale();
  const stale = age !== null;
  useEffect(() => {
    document.documentElement.toggleAttribute("data-stale", stale);
  }, [stale]);
  if (!stale) return null;
  return (
    <p className="stale" role="status">
      <b>
        Nothing comes from the server<span aria-hidden="true"> for {seconds(Math.floor(age))}</span>.
      </b>{" "}
      What is shown is how it was before, and may not be true any more. This page tries again by itself.
    </p>
  );
}
