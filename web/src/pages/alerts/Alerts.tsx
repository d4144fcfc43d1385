import { Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, ask, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { When } from "~/components/When";

export function Alerts() {
  const status = useQuery(asked.status());
  const rules = useQuery(asked.rules());
  return (
    <>
      <Title name="Alerts" says="What fires now or is about to, what others told, and what is silenced." />
      <div className="stack">
        <Loaded query={status}>
          {(page) => {
            const rows = page.items.flatMap((item) => item.alerts.map((alert) => ({ item, alert })));
            return (
              <>
                {rows.length === 0 ? (
                  <Empty title="No alert" />
                ) : (
                  <div className="card scroll" tabIndex={0} role="region" aria-label="Alerts">
                    <Table>
                      <Table.Thead>
                        <Table.Tr>
                          <Table.Th>Rule</Table.Th>
                          <Table.Th>On</Table.Th>
                          <Table.Th>How it stands</Table.Th>
                          <Table.Th>Since</Table.Th>
                          <Table.Th>Why it matters</Table.Th>
                        </Table.Tr>
                      </Table.Thead>
                      <Table.Tbody>
                        {rows.map(({ item, alert }) => (
                          <Table.Tr key={alert.id}>
                            <Table.Td>{alert.rule}</Table.Td>
                            <Table.Td>
                              <Link to="/resources/$slug" params={{ slug: item.slug }}>
                                {item.slug}
                              </Link>
                            </Table.Td>
                            <Table.Td>
                              {alert.severity}, {alert.status}
                              {item.silenced?.[alert.rule] && `, silenced by ${item.silenced[alert.rule]}`}
                            </Table.Td>
                            <Table.Td>
                              <When at={alert.firing_at ?? alert.pending_at} />
                            </Table.Td>
                            <Table.Td>{alert.why}</Table.Td>
                          </Table.Tr>
                        ))}
                      </Table.Tbody>
                    </Table>
                  </div>
                )}
                {(page.outside ?? []).length > 0 && (
                  <section className="card">
                    <h2>Told by others</h2>
                    {page.outside?.map((one) => (
                      <Text key={one.id} size="sm">
                        <b>{one.name}</b> {one.summary} ({one.sender}, <When at={one.began_at} />)
                      </Text>
                    ))}
                  </section>
                )}
                {page.silences.length > 0 && (
                  <section className="card">
                    <h2>Silences</h2>
                    {page.silences.map((one) => (
                      <Text key={one.id} size="sm">
                        <b>{one.about}</b>: {one.reason}, by {one.by}; ends <When at={one.ends} />
                      </Text>
                    ))}
                  </section>
                )}
              </>
            );
          }}
        </Loaded>
        <Loaded query={rules}>
          {({ items }) => (
            <>
              <ChangedRules rules={items} />
              <details className="card">
                <summary>The {items.length} rules in force</summary>
                <div className="scroll" tabIndex={0} role="region" aria-label="Rules">
                  <Table>
                    <Table.Thead>
                      <Table.Tr>
                        <Table.Th>Rule</Table.Th>
                        <Table.Th>Kind</Table.Th>
                        <Table.Th>Fires when</Table.Th>
                        <Table.Th>For</Table.Th>
                        <Table.Th>Why it matters</Table.Th>
                        <Table.Th>Source</Table.Th>
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {items.map((rule) => (
                        <Table.Tr key={`${rule.kind}/${rule.rule}`}>
                          <Table.Td>{rule.rule}</Table.Td>
                          <Table.Td>{rule.kind}</Table.Td>
                          <Table.Td>
                            <code>{rule.when}</code>
                          </Table.Td>
                          <Table.Td>{rule.for_seconds} s</Table.Td>
                          <Table.Td>{rule.why}</Table.Td>
                          <Table.Td>{rule.source}</Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </div>
              </details>
            </>
          )}
        </Loaded>
      </div>
    </>
  );
}

/** What somebody changed about a rule while it runs. */
function ChangedRules({ rules }: { rules: Schemas["RuleView"][] }) {
  const changed = rules.flatMap((rule) => (rule.changes ?? []).map((change) => ({ rule, change })));
  if (changed.length === 0) return null;
  return (
    <section className="card" aria-label="Changed rules">
      <h2>Rules changed while it runs</h2>
      <ul className="plain">
        {changed.map(({ rule, change }) => (
          <li key={`${rule.kind}/${rule.rule}/${change.resource ?? ""}`} className="spread">
            <div>
              <Text size="sm">
                <b>{rule.rule}</b> on {change.slug ?? change.resource ?? "everything"}: {differs(change).join("; ")}
              </Text>
              <Text size="xs" c="dimmed">
                by {change.by} <When at={change.at} />
                {change.note && `: ${change.note}`}
              </Text>
            </div>
            <Act
              label="As configured"
              aria-label={`${rule.rule} as configured`}
              size="xs"
              says={`${rule.rule} on ${change.slug ?? "everything"} is as the connector and the configuration have it: ${rule.rule} is no longer changed.`}
              run={() =>
                ask(
                  api.DELETE("/api/rules/{rule}", {
                    params: { path: { rule: rule.rule }, query: change.resource ? { resource: change.resource } : {} },
                  }),
                )
              }
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

function differs(change: Schemas["RuleChangeView"]): string[] {
  if (!change.enabled) return ["switched off"];
  return [
    ...(change.when ? [`fires when ${change.when}`] : []),
    ...(change.clear ? [`clears when ${change.clear}`] : []),
    ...(change.for_seconds !== null ? [`for ${change.for_seconds} s`] : []),
    ...(change.severity ? [change.severity] : []),
  ];
}
