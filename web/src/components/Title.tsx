import { Group, Text, Title as Heading } from "@mantine/core";
import { type ReactNode, useEffect } from "react";

/** The head of a page: its name, a sentence, and what can be done there. */
export function Title({ name, says, children }: { name: ReactNode; says?: ReactNode; children?: ReactNode }) {
  useEffect(() => {
    document.title = typeof name === "string" ? `${name} · Watchkeeper` : "Watchkeeper";
  }, [name]);
  return (
    <Group justify="space-between" align="flex-start" mb="md" gap="sm">
      <div>
        <Heading order={1} size="h3">
          {name}
        </Heading>
        {says && (
          <Text size="sm" c="dimmed" component="div">
            {says}
          </Text>
        )}
      </div>
      {children && <Group gap="xs">{children}</Group>}
    </Group>
  );
}
