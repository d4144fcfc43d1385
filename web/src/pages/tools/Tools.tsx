import { Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { asked } from "~/api/queries";
import { Empty, Loaded } from "~/components/States";
import { EffectBadge } from "~/components/Steps";
import { Title } from "~/components/Title";
import { Call } from "./Call";

export function Tools() {
  const tools = useQuery(asked.tools());
  const { tool: name, resource } = useSearch({ from: "/tools" });
  const [sought, setSought] = useState("");
  return (
    <>
      <Title name="Tools" says="Everything that can be looked up or done, by hand too; a change goes through policy." />
      <Loaded query={tools}>
        {({ items }) => {
          const tool = items.find((one) => one.name === name);
          const shown = items.filter((one) =>
            `${one.name} ${one.kind} ${one.title}`.toLowerCase().includes(sought.toLowerCase()),
          );
          return (
            <div className="two">
              <section className="card" style={{ order: tool ? 0 : 1 }}>
                {tool ? (
                  <Call key={`${tool.name} ${resource ?? ""}`} tool={tool} at={resource} />
                ) : (
                  <Text c="dimmed" size="sm">
                    Choose a tool to see what it does and to call it.
                  </Text>
                )}
              </section>
              <section className="card">
                <TextInput
                  type="search"
                  aria-label="Search tools"
                  placeholder="Search (/)"
                  mb="sm"
                  value={sought}
                  onChange={(event) => setSought(event.currentTarget.value)}
                />
                {shown.length === 0 && <Empty title="No tool has that name" />}
                {shown.map((one) => (
                  <div
                    key={one.name}
                    style={{ display: "flex", justifyContent: "space-between", gap: 8, padding: "3px 0" }}
                  >
                    <Link
                      to="/tools"
                      search={{ tool: one.name }}
                      aria-current={one.name === name ? "true" : undefined}
                      style={{
                        fontSize: "0.875rem",
                        overflowWrap: "anywhere",
                        fontWeight: one.name === name ? 600 : 400,
                      }}
                    >
                      {one.name}
                    </Link>
                    <EffectBadge effect={one.effect} />
                  </div>
                ))}
              </section>
            </div>
          );
        }}
      </Loaded>
    </>
  );
}
