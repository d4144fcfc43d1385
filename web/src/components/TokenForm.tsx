import { Button, Group, PasswordInput, Text } from "@mantine/core";
import { useState } from "react";
import { ask, api } from "~/api/client";
import { live } from "~/api/live";
import { client } from "~/api/queries";
import { token } from "~/api/token";

/** Takes a token once the server knows it. */
export function TokenForm({ done }: { done?: () => void }) {
  const [value, setValue] = useState("");
  const [problem, setProblem] = useState("");
  async function take() {
    const before = token.get();
    token.set(value.trim());
    try {
      await ask(api.GET("/api/me"));
    } catch (error) {
      token.set(before);
      setProblem((error as Error).message);
      return;
    }
    live.again();
    await client.invalidateQueries();
    done?.();
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void take();
      }}
    >
      <Group align="flex-end" gap="xs">
        <PasswordInput
          label="Token"
          description="Of the operator: `token` in the data directory; of others: `watchkeeper token new`."
          autoComplete="off"
          value={value}
          error={problem}
          onChange={(event) => setValue(event.currentTarget.value)}
          style={{ flex: 1, minWidth: 240 }}
        />
        <Button type="submit" disabled={!value.trim()}>
          Use it
        </Button>
      </Group>
      <Text size="xs" c="dimmed" mt={4}>
        It is kept until this tab is closed, and sent to nobody but this server.
      </Text>
    </form>
  );
}
