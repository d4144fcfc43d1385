/** Server-sent events, read with the token: what a browser's own EventSource cannot send. */
import { Refusal, type Schemas } from "./client";
import { credentials } from "./token";

export interface Said {
  id: string;
  event: string;
  data: string;
}

/** Pieces of a stream, put together: what is whole, and what is left over. */
export function split(text: string): { whole: Said[]; rest: string } {
  const blocks = text.split("\n\n");
  const rest = blocks.pop() ?? "";
  const whole = blocks.map((block) => {
    const said = { id: "", event: "", data: "" };
    for (const line of block.split("\n")) {
      const [, name, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
      if (name === "id" || name === "event" || name === "data") said[name] += value;
    }
    return said;
  });
  return { whole, rest };
}

interface Asked {
  body?: unknown;
  signal: AbortSignal;
  connected?: () => void;
  /** Anything came, be it a sign of life. */
  heard?: () => void;
  told: (said: Said) => void;
}

/** Reads a stream to its end. Raises a Refusal where the server does not give one, and what ended the connection. */
export async function read(path: string, { body, signal, connected, heard, told }: Asked): Promise<void> {
  const answer = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: {
      Accept: "text/event-stream",
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...credentials(),
    },
    body: body === undefined ? null : JSON.stringify(body),
    signal,
    cache: "no-store",
  });
  if (!answer.ok || !answer.body) {
    const said = (await answer.json().catch(() => ({}))) as Partial<Schemas["Problem"]>;
    throw new Refusal(answer.status, said.detail ?? `The server answered ${answer.status}.`, said.next);
  }
  connected?.();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard?.();
    const { whole, rest } = split(text + value.replaceAll("\r", ""));
    text = rest;
    whole.forEach(told);
  }
}

const WAIT_MS = 2_000;

/** Follows a stream until it is stopped, from the last event on after each break. */
export function follow(path: (after: string) => string, told: (said: Said) => void): () => void {
  const stopper = new AbortController();
  let after = "";
  void (async () => {
    while (!stopper.signal.aborted) {
      try {
        await read(path(after), {
          signal: stopper.signal,
          told: (said) => {
            after = said.id || after;
            if (said.data) told(said);
          },
        });
      } catch {
        // The page's header tells that the connection is lost.
      }
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  })();
  return () => stopper.abort();
}
