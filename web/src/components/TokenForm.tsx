import { Button, Group, PasswordInput, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask, api } from "~/api/client";
import { live } from "~/api/live";
import { asked, client } from "~/api/queries";
import { token, useToken } from "~/api/token";

/** Takes a token once the server knows it. */
export function TokenForm({ done }: { done?: () => void }) {
  const { data } = useQuery(asked.settings());
  const [value, setValue] = useState("");
  const [problem, setProblem] = useState("");
  const known = useToken();
  function without() {
    token.set("");
    live.again();
    void client.invalidateQueries();
  }
  async function take() {
    setProblem("");
    try {
      await ask(api.GET("/api/me", { headers: { Authorization: `Bearer ${value.trim()}` } }));
    } catch (error) {
      setProblem((error as Error).message);
      return;
    }
    token.set(value.trim());
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
          description={
            <>
              Of the operator: the file <code>{data ? `${String(data.settings.data)}/token` : "token"}</code>
              {!data && " in the data directory"}; of others: <code>watchkeeper token new</code>.
            </>
          }
          autoComplete="off"
          value={value}
          error={problem}
          onChange={(event) => setValue(event.currentTarget.value)}
          style={{ flex: 1, minWidth: 240 }}
        />
        <Button type="submit" disabled={!value.trim()}>
          Use it
        </Button>
        {known && (
          <Button variant="subtle" onClick={without}>
            Go on without one
          </Button>
        )}
      </Group>
      <Text size="xs" c="dimmed" mt={4}>
        It is kept until this tab is closed, and sent to nobody but this server.
      </Text>
    </form>
  );
}
