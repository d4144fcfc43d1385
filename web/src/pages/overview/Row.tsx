import { useRouter } from "@tanstack/react-router";
import { memo, type MouseEvent, type ReactNode, useEffect, useState } from "react";
import type { Incident, Resource } from "~/api/client";
import { figure, words } from "~/components/figures";
import { HealthBadge } from "~/components/Health";
import { Sparkline } from "~/components/Sparkline";
import { IncidentStatus } from "~/components/Status";
import { When } from "~/components/When";

/** A link that costs little: hundreds of them come and go while somebody scrolls. */
function Go({ to, children, ...rest }: { to: string; className?: string; title?: string; children: ReactNode }) {
  const router = useRouter();
  function go(event: MouseEvent) {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    router.history.push(to);
  }
  return (
    <a href={to} onClick={go} {...rest}>
      {children}
    </a>
  );
}

const RESTS_MS = 150;

/** Whether it has been there for a moment: what is only scrolled past asks for nothing. */
function useRests(): boolean {
  const [rests, setRests] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setRests(true), RESTS_MS);
    return () => clearTimeout(timer);
  }, []);
  return rests;
}

/** One resource: how it is, what matters of it, since when, and what is being done. */
export const Row = memo(function Row({ item, incident }: { item: Resource; incident?: Incident }) {
  const { metric } = item;
  const rests = useRests();
  return (
    <div className="row">
      <div className="row-name">
        <Go to={`/resources/${encodeURIComponent(item.slug)}`} title={item.slug}>
          {item.slug}
        </Go>
        <p className="less">
          {item.kind} · {item.environment}
        </p>
      </div>
      <div className="row-health">
        <HealthBadge health={item.health} />
        <p className="less">
          <When at={item.since} lasts />
        </p>
      </div>
      <div className="row-metric">
        {metric && (
          <>
            <p className="figure">
              {figure(metric.name, metric.value)}
              {metric.threshold !== null && metric.threshold !== undefined && (
                <span className="less"> / {figure(metric.name, metric.threshold)}</span>
              )}
            </p>
            <p className="less">{words(metric.name)}</p>
          </>
        )}
      </div>
      <div className="row-spark">
        {metric && rests && <Sparkline slug={item.slug} metric={metric.name} threshold={metric.threshold} />}
      </div>
      <div className="row-doing">
        <Doing item={item} incident={incident} />
      </div>
    </div>
  );
});

const would = ({ cause, steps, decision }: NonNullable<Resource["advice"]>): string =>
  decision.outcome === "deny" ? cause : `${steps.map(({ tool }) => tool).join(", ")}: ${cause}`;

function Doing({ item, incident }: { item: Resource; incident?: Incident }) {
  const firing = item.alerts.filter((alert) => alert.status === "firing");
  const says =
    (item.escalated && item.part_of ? `part of what is wrong with ${item.part_of}` : item.escalated) ||
    (item.held ?? item.maintenance ?? (item.advice ? would(item.advice) : (firing[0]?.why ?? item.state)));
  return (
    <>
      {item.incident ? (
        <Go to={`/incidents/${item.incident}`} className="doing">
          {incident && <IncidentStatus incident={incident} told={Boolean(item.advice)} />} {says || item.incident}
        </Go>
      ) : (
        <p className="doing quiet">{item.health === "HEALTHY" ? "" : says}</p>
      )}
      {firing.length > 1 && <p className="less">{firing.length} alerts</p>}
    </>
  );
}
