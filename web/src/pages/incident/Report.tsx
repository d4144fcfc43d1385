import { Button, Modal } from "@mantine/core";
import { useState } from "react";
import { Refusal } from "~/api/client";
import { credentials } from "~/api/token";
import { Failed } from "~/components/States";

/** To be kept or sent on: a file of its own. Raises a Refusal where it does not come. */
async function report(key: string): Promise<void> {
  const found = fetch(`/api/incidents/${key}/report?format=html`, { headers: credentials() });
  const answer = await found.catch(() => null);
  if (!answer?.ok)
    throw new Refusal(answer?.status ?? 0, "The report did not come.", "`watchkeeper report` writes the same.");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `${key}.html`;
  link.click();
  URL.revokeObjectURL(link.href);
}

export function Report({ incident }: { incident: string }) {
  const [problem, setProblem] = useState<unknown>(null);
  return (
    <>
      <Button size="sm" variant="default" onClick={() => void report(incident).catch(setProblem)}>
        Report
      </Button>
      <Modal
        opened={problem !== null}
        onClose={() => setProblem(null)}
        title="Report"
        centered
        transitionProps={{ duration: 0 }}
      >
        <Failed error={problem} />
      </Modal>
    </>
  );
}
