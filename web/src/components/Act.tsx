import { Button, type ButtonProps, Group, Modal, Stack, Text, Textarea } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { type ReactNode, useState } from "react";
import { client } from "~/api/queries";
import { useToken } from "~/api/token";
import { Failed } from "./States";
import { TokenForm } from "./TokenForm";

interface Props extends ButtonProps {
  label: string;
  /** Exactly what will happen, before it does. */
  says: ReactNode;
  note?: "optional" | "needed";
  run: (note: string) => Promise<unknown>;
  /** Where several buttons of one label are on a page. */
  "aria-label"?: string;
}

/** A button that changes something: it says what it will do, takes a note, and asks for a token where there is none. */
export function Act({ label, says, note, run, ...button }: Props) {
  const [opened, { open, close }] = useDisclosure();
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const known = useToken();
  async function go() {
    setBusy(true);
    setProblem(null);
    try {
      await run(text);
      close();
      setText("");
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
      void client.invalidateQueries();
    }
  }
  return (
    <>
      <Button
        size="sm"
        variant="default"
        className={button.variant === "outline" ? "danger" : undefined}
        {...button}
        onClick={open}
      >
        {label}
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        title={label}
        size={typeof says === "string" ? "md" : "lg"}
        centered
        transitionProps={{ duration: 0 }}
      >
        <Stack gap="md">
          <Text size="sm" component="div">
            {says}
          </Text>
          {known ? (
            <>
              {note && (
                <Textarea
                  label={note === "needed" ? "Why (needed)" : "Why (for the record)"}
                  autosize
                  value={text}
                  onChange={(event) => setText(event.currentTarget.value)}
                />
              )}
              {problem !== null && <Failed error={problem} />}
              <Group justify="flex-end">
                <Button variant="default" onClick={close}>
                  Leave it
                </Button>
                <Button
                  color={button.color}
                  loading={busy}
                  disabled={note === "needed" && !text.trim()}
                  onClick={() => void go()}
                  data-autofocus
                >
                  {label}
                </Button>
              </Group>
            </>
          ) : (
            <TokenForm />
          )}
        </Stack>
      </Modal>
    </>
  );
}
