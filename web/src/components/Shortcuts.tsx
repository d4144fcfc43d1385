import { Modal, Table } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import type { Page } from "./Shell";

const SEQUENCE_MS = 1500;

/** `?` tells them all; `g` and a letter goes to a page; `/` searches. */
export function Shortcuts({ pages }: { pages: Page[] }) {
  const [opened, { open, close }] = useDisclosure();
  const navigate = useNavigate();
  const begun = useRef(0);
  useHotkeys([
    ["shift+?", open],
    ["?", open],
    [
      "/",
      () => {
        document.querySelector<HTMLInputElement>("#main input[type=search]")?.focus();
      },
    ],
  ]);
  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [role=dialog]");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "g") {
        begun.current = event.timeStamp;
        return;
      }
      const page = pages.find(({ key }) => key === event.key);
      if (page && event.timeStamp - begun.current < SEQUENCE_MS) void navigate({ to: page.to });
      begun.current = -SEQUENCE_MS;
    }
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [pages, navigate]);
  return (
    <Modal opened={opened} onClose={close} title="Keyboard" centered transitionProps={{ duration: 0 }}>
      <Table>
        <Table.Tbody>
          <Row keys="Ctrl K" says="Search for anything" />
          <Row keys="/" says="Filter this page" />
          {pages.flatMap(({ key, name }) => (key ? [<Row key={key} keys={`g ${key}`} says={name} />] : []))}
          <Row keys="?" says="This list" />
        </Table.Tbody>
      </Table>
    </Modal>
  );
}

function Row({ keys, says }: { keys: string; says: string }) {
  return (
    <Table.Tr>
      <Table.Td w={100}>
        <kbd>{keys}</kbd>
      </Table.Td>
      <Table.Td>{says}</Table.Td>
    </Table.Tr>
  );
}
