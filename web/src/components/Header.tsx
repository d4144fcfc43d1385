import { ActionIcon, Button, Group, Modal, Text, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, ask } from "~/api/client";
import { live, useConnection } from "~/api/live";
import { asked, client } from "~/api/queries";
import { token, useToken } from "~/api/token";
import { Act } from "./Act";
import { TokenForm } from "./TokenForm";

const CONNECTIONS = {
  live: "Live",
  connecting: "Connecting",
  lost: "Connection lost, trying again",
  refused: "Not signed in",
};

/** How the watcher itself stands, and the switch that stops it. */
export function Header() {
  const status = useQuery(asked.status());
  const ready = useQuery(asked.ready());
  const connection = useConnection();
  const said = status.data;
  const unwell = [
    ...(ready.data?.problems ?? []),
    ...Object.entries(said?.problems ?? {}).map(([name, what]) => `${name}: ${what}`),
  ];
  return (
    <Group gap="xs" wrap="nowrap">
      <span className={`connection connection-${connection}`} role="status" title={CONNECTIONS[connection]}>
        <i aria-hidden="true" />
        <span>{CONNECTIONS[connection]}</span>
      </span>
      {unwell.length > 0 && (
        <Link to="/settings" hash="itself" className="unwell" title={unwell.join("\n")}>
          <span aria-hidden="true">▲</span> {unwell.length} own problem{unwell.length > 1 ? "s" : ""}
        </Link>
      )}
      {said && (
        <Text
          size="sm"
          className="mode"
          title="observe: only tells; approve: each change waits for a person; auto: within policy"
        >
          <span>mode </span>
          <b>{said.mode}</b>
        </Text>
      )}
      {said &&
        (said.paused ? (
          <Act
            label="Resume"
            color="#9c4f00"
            variant="filled"
            size="xs"
            says={`${said.paused}. Watchkeeper goes on: what was begun is finished, and what policy allows is done again.`}
            run={() => ask(api.POST("/api/resume"))}
          />
        ) : (
          <Act
            label="Pause"
            size="xs"
            says="No further step of any fix begins, of anything watched, until somebody resumes it. Looking and alerting go on."
            run={() => ask(api.POST("/api/pause"))}
          />
        ))}
      <Who />
      <Scheme />
    </Group>
  );
}

function Who() {
  const [opened, { open, close }] = useDisclosure();
  const known = useToken();
  const { data: me } = useQuery(asked.me());
  function forget() {
    token.set("");
    live.again();
    void client.invalidateQueries();
    close();
  }
  return (
    <>
      <Button size="xs" variant="subtle" color="gray" className="who" onClick={open}>
        {known && me ? me.name : "Sign in"}
      </Button>
      <Modal opened={opened} onClose={close} title="Who you are" centered transitionProps={{ duration: 0 }}>
        {known && me ? (
          <Group justify="space-between">
            <Text size="sm">
              {me.name}, {me.role}
            </Text>
            <Button variant="default" onClick={forget}>
              Forget the token
            </Button>
          </Group>
        ) : (
          <TokenForm done={close} />
        )}
      </Modal>
    </>
  );
}

function Scheme() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      aria-label={`Use ${other} colours`}
      onClick={() => setColorScheme(other)}
      visibleFrom="xs"
    >
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" className="ink">
        <circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
        <path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
      </svg>
    </ActionIcon>
  );
}
