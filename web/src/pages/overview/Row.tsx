import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Resource } from "~/api/client";
import { asked } from "~/api/queries";
import { figure, words } from "~/components/figures";
import { HealthBadge } from "~/components/Health";
import { Sparkline } from "~/components/Sparkline";
import { IncidentStatus } from "~/components/Status";
import { When } from "~/components/When";

/** One resource: how it is, what matters of it, since when, and what is being done. */
export function Row({ item }: { item: Resource }) {
  const { metric } = item;
  return (
    <div className="row">
      <div className="row-name">
        <Link to="/resources/$slug" params={{ slug: item.slug }}>
          {item.slug}
        </Link>
        <Text size="xs" c="dimmed">
          {item.kind} · {item.environment}
        </Text>
      </div>
      <div className="row-health">
        <HealthBadge health={item.health} />
        <Text size="xs" c="dimmed">
          <When at={item.since} />
        </Text>
      </div>
      <div className="row-metric">
        {metric && (
          <>
            <Text size="sm" className="figure">
              {figure(metric.name, metric.value)}
              {metric.threshold !== null && metric.threshold !== undefined && (
                <Text span size="xs" c="dimmed">
                  {" "}
                  / {figure(metric.name, metric.threshold)}
                </Text>
              )}
            </Text>
            <Text size="xs" c="dimmed">
              {words(metric.name)}
            </Text>
          </>
        )}
      </div>
      <div className="row-spark">
        {metric && <Sparkline slug={item.slug} metric={metric.name} threshold={metric.threshold} />}
      </div>
      <div className="row-doing">
        <Doing item={item} />
      </div>
    </div>
  );
}

function Doing({ item }: { item: Resource }) {
  const { data: incidents } = useQuery(asked.incidents());
  const incident = incidents?.items.find((one) => one.id === item.incident);
  const firing = item.alerts.filter((alert) => alert.status === "firing");
  const says = item.escalated
    ? `handed to a person: ${item.escalated}`
    : (item.held ?? item.maintenance ?? (item.advice ? item.advice.cause : (firing[0]?.why ?? item.state)));
  return (
    <>
      {item.incident ? (
        <Link to="/incidents/$key" params={{ key: item.incident }} className="doing">
          {incident && <IncidentStatus incident={incident} />} {says || item.incident}
        </Link>
      ) : (
        <Text size="sm" c="dimmed" lineClamp={2}>
          {item.health === "HEALTHY" ? "" : says}
        </Text>
      )}
      {firing.length > 1 && (
        <Text size="xs" c="dimmed">
          {firing.length} alerts
        </Text>
      )}
    </>
  );
}
