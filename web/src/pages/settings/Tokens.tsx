import { Button, Code, CopyButton, Group, Modal, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas } from "~/api/client";
import { asked, client } from "~/api/queries";
import { useToken } from "~/api/token";
import { Act } from "~/components/Act";
import { Failed } from "~/components/States";
import { When } from "~/components/When";

const ROLES: Record<Schemas["NewToken"]["role"], string> = {
  viewer: "looks",
  operator: "looks, acts within policy, pauses",
  approver: "the same, and approves what waits",
  admin: "everything, tokens too",
  agent: "a program that proposes and acts within policy; never approves",
  sender: "sends alerts or predictions, and nothing else",
};
type Role = keyof typeof ROLES;

/** Who may come in; making a token, which is shown once, and taking it back. */
export function Tokens() {
  const known = useToken();
  const tokens = useQuery({ ...asked.tokens(), enabled: known !== "", retry: false });
  const may = known !== "" && !tokens.error;
  return (
    <section className="card">
      <Group justify="space-between" mb="sm">
        <h2 style={{ margin: 0, fontSize: "0.9375rem" }}>Tokens</h2>
        {may && <Make />}
      </Group>
      {!may ? (
        <Text size="sm" c="dimmed">
          {tokens.error?.message ?? "An admin who is signed in sees them, and makes new ones."}
        </Text>
      ) : tokens.data?.items.length === 0 ? (
        <Text size="sm" c="dimmed">
          None but the operator’s.
        </Text>
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label="Tokens">
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Name</Table.Th>
                <Table.Th>Role</Table.Th>
                <Table.Th>How it stands</Table.Th>
                <Table.Th>Ends</Table.Th>
                <Table.Th>Last used</Table.Th>
                <Table.Th>
                  <span className="hidden">To do</span>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {tokens.data?.items.map((one) => (
                <Table.Tr key={one.id}>
                  <Table.Td>{one.name}</Table.Td>
                  <Table.Td title={ROLES[one.role]}>{one.role}</Table.Td>
                  <Table.Td>{one.revoked_at ? `revoked by ${one.revoked_by}` : one.status}</Table.Td>
                  <Table.Td>{one.expires_at ? <When at={one.expires_at} /> : "never"}</Table.Td>
                  <Table.Td>{one.used_at ? <When at={one.used_at} /> : "never"}</Table.Td>
                  <Table.Td>
                    {!one.revoked_at && (
                      <Act
                        label="Revoke"
                        size="xs"
                        color="red.9"
                        variant="outline"
                        aria-label={`Revoke the token of ${one.name}`}
                        says={`The token ${one.name} (${one.role}) opens nothing from now on. It cannot be given back.`}
                        run={() => ask(api.DELETE("/api/tokens/{key}", { params: { path: { key: one.id } } }))}
                      />
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </div>
      )}
    </section>
  );
}

function Make() {
  const [opened, { open, close }] = useDisclosure();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [expires, setExpires] = useState("90d");
  const [made, setMade] = useState<Schemas["MadeToken"] | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  async function make() {
    setProblem(null);
    try {
      setMade(await ask(api.POST("/api/tokens", { body: { name, role, expires: expires.trim() || null } })));
      void client.invalidateQueries({ queryKey: ["tokens"] });
    } catch (error) {
      setProblem(error);
    }
  }
  function done() {
    close();
    setMade(null);
    setName("");
    setProblem(null);
  }
  return (
    <>
      <Button size="xs" variant="default" onClick={open}>
        New token
      </Button>
      <Modal opened={opened} onClose={done} title="New token" centered transitionProps={{ duration: 0 }}>
        {made ? (
          <Stack gap="sm">
            <Text size="sm">
              This is the only time that it is shown: only its hash is kept. It is for {made.view.name},{" "}
              {made.view.role}.
            </Text>
            <Code block style={{ overflowWrap: "anywhere", whiteSpace: "pre-wrap" }}>
              {made.token}
            </Code>
            <Group justify="flex-end">
              <CopyButton value={made.token}>
                {({ copied, copy }) => (
                  <Button onClick={copy} autoFocus>
                    {copied ? "Copied" : "Copy it"}
                  </Button>
                )}
              </CopyButton>
              <Button variant="default" onClick={done}>
                I have it
              </Button>
            </Group>
          </Stack>
        ) : (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void make();
            }}
          >
            <Stack gap="sm">
              <TextInput
                label="For whom"
                description="What the history calls them."
                required
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
                data-autofocus
              />
              <Select
                label="Role"
                data={Object.keys(ROLES)}
                description={ROLES[role]}
                value={role}
                allowDeselect={false}
                onChange={(value) => setRole((value ?? "viewer") as Role)}
              />
              <TextInput
                label="Ends after"
                description="30d, 12h; empty: never."
                value={expires}
                onChange={(event) => setExpires(event.currentTarget.value)}
              />
              {problem !== null && <Failed error={problem} />}
              <Group justify="flex-end">
                <Button variant="default" onClick={done}>
                  Leave it
                </Button>
                <Button type="submit" disabled={!name.trim()}>
                  Make it
                </Button>
              </Group>
            </Stack>
          </form>
        )}
      </Modal>
    </>
  );
}
