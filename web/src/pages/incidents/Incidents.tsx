import { Table } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { asked } from "~/api/queries";
import { seconds } from "~/components/figures";
import { useNames } from "~/components/names";
import { Empty, Loaded, Older } from "~/components/States";
import { IncidentStatus } from "~/components/Status";
import { Title } from "~/components/Title";
import { When } from "~/components/When";

export function Incidents() {
  const nameOf = useNames();
  const incidents = useInfiniteQuery(asked.incidents());
  return (
    <>
      <Title name="Incidents" says="Newest first." />
      <Loaded query={incidents}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No incident yet">When something fails, its story is told here.</Empty>
          ) : (
            <div className="card scroll" tabIndex={0} role="region" aria-label="Incidents">
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Incident</Table.Th>
                    <Table.Th>How it stands</Table.Th>
                    <Table.Th>Opened</Table.Th>
                    <Table.Th>Lasted</Table.Th>
                    <Table.Th>Root</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((incident) => (
                    <Table.Tr key={incident.id}>
                      <Table.Td>
                        <Link to="/incidents/$key" params={{ key: incident.id }}>
                          {incident.title}
                        </Link>
                      </Table.Td>
                      <Table.Td>
                        <IncidentStatus incident={incident} />
                      </Table.Td>
                      <Table.Td>
                        <When at={incident.opened_at} />
                      </Table.Td>
                      <Table.Td>
                        {incident.closed_at
                          ? seconds((Date.parse(incident.closed_at) - Date.parse(incident.opened_at)) / 1000)
                          : "not over"}
                      </Table.Td>
                      <Table.Td>{nameOf(incident.root)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </div>
          )
        }
      </Loaded>
      <Older query={incidents} name="incidents" />
    </>
  );
}
