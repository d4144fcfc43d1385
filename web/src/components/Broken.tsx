import { Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { Refusal } from "~/api/client";
import { live } from "~/api/live";
import { Failed } from "./States";
import { Title } from "./Title";

const RELOADED = "watchkeeper-reloaded";

/** A page whose file does not come is not there, and the console around it stays. */
export async function came<T>(file: Promise<T>): Promise<T> {
  try {
    const found = await file;
    sessionStorage.removeItem(RELOADED);
    return found;
  } catch {
    throw new Refusal(0, "This page did not come from the server.", "It is asked for again once the server answers.");
  }
}

/** Instead of a page that cannot be shown. One that did not come is asked for anew as soon as the server is there: it may be
 * another version by now, with other files. */
export function Broken({ error }: { error: unknown }) {
  const lacks = error instanceof Refusal;
  useEffect(() => {
    if (!lacks) return;
    const stops = live.onReturn(() => window.location.reload());
    if (live.connection === "live" && !sessionStorage.getItem(RELOADED)) {
      sessionStorage.setItem(RELOADED, "once"); // what does not come then is not asked for in a circle
      window.location.reload();
    }
    return () => void stops();
  }, [lacks]);
  return (
    <>
      <Title name={lacks ? "Not here yet" : "This page cannot be shown"} />
      <Failed error={error} again={() => window.location.reload()} />
    </>
  );
}

export function NotFound() {
  return (
    <>
      <Title name="There is no such page" />
      <Text size="sm">
        The address may be mistyped, or of another version. <Link to="/">Overview</Link> shows all that is watched,{" "}
        <Link to="/incidents">Incidents</Link> what happened; Ctrl K finds both by name.
      </Text>
    </>
  );
}
