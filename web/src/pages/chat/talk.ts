/** What is said in the chat: the events of `/api/llm/chat`, put together to turns. */
import { Refusal } from "~/api/client";
import { read, type Said } from "~/api/stream";
import { credentials } from "~/api/token";

export interface Citation {
  mark: string;
  kind: string;
  id: string;
  href: string;
  said: string;
}
export interface Look {
  tool: string;
  arguments: Record<string, unknown>;
  about?: string;
}
export interface Proposed {
  token: string | null;
  summary: string;
  cause?: string;
  incident?: string | null;
  resource?: string;
  steps: {
    tool: string;
    resource: string;
    with: Record<string, unknown>;
    why: string;
    effect: "read" | "reversible" | "disruptive" | "destructive";
    /** Why it would not be done; empty where it would. */
    refused?: string;
    /** The arguments that count bytes. */
    in_bytes?: string[];
  }[];
}
export interface Failure {
  title?: string;
  detail: string;
  next?: string;
}
export interface Turn {
  question: string;
  text: string;
  looks: Look[];
  citations: Citation[];
  plan: Proposed | null;
  failed: Failure | null;
  model?: string;
  tokens?: number;
  cost_usd?: number | null;
  seconds?: number;
  /** Marks that nothing stands for. */
  removed?: string[];
  /** Figures that do not stand in what is cited for them. */
  unsupported?: { figure: string; marks: string[] }[];
  /** Another model began anew. */
  again?: string;
}
export const asking = (question: string): Turn => ({
  question,
  text: "",
  looks: [],
  citations: [],
  plan: null,
  failed: null,
});

/** A turn after one more event. */
export function heard(turn: Turn, { event, data }: Said): Turn {
  const said = JSON.parse(data) as Record<string, unknown>;
  switch (event) {
    case "text":
      return { ...turn, text: turn.text + String(said.delta ?? "") };
    case "look":
      return { ...turn, looks: [...turn.looks, said as unknown as Look] };
    case "plan":
      return { ...turn, plan: said as unknown as Proposed };
    case "again":
      return { ...turn, text: "", plan: null, looks: [], again: String(said.why ?? "") };
    case "done":
      return { ...turn, ...(said as Partial<Turn>), text: String(said.text ?? turn.text) };
    case "failed":
      return { ...turn, failed: said as unknown as Failure };
    default:
      return turn;
  }
}

/** A text in pieces: what is said, and the marks that stand for something, each with what it stands for. */
export function pieces(text: string, citations: Citation[]): (string | Citation)[] {
  const known = new Map(citations.map((one) => [one.mark.replace(/^\[|\]$/g, ""), one]));
  return text.split(/(\[[\w:.-]+\])/).flatMap((piece): (string | Citation)[] => {
    const found = /^\[.+\]$/.test(piece) ? known.get(piece.slice(1, -1)) : undefined;
    return found ? [found] : piece ? [piece] : [];
  });
}

/** The local time with its offset: "at nine" is the asker's nine. */
export function clock(at: Date): string {
  const off = -at.getTimezoneOffset();
  const two = (value: number) => String(Math.floor(Math.abs(value))).padStart(2, "0");
  const local = new Date(at.getTime() + off * 60_000).toISOString().slice(0, 19);
  return `${local}${off < 0 ? "-" : "+"}${two(off / 60)}:${two(off % 60)}`;
}

/** Asks, and tells each event as it comes. */
export const say = (message: string, conversation: string | null, signal: AbortSignal, told: (said: Said) => void) =>
  read("/api/llm/chat", {
    body: { message, conversation, at: clock(new Date()) },
    signal,
    told: (said) => {
      if (said.data) told(said);
    },
  });

/** What the API's own description has no type for yet. */
export async function plainly<T>(path: string, body?: unknown): Promise<T> {
  const answer = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: { ...credentials(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const said = (await answer.json().catch(() => ({}))) as T & Partial<Failure>;
  if (!answer.ok) throw new Refusal(answer.status, said.detail ?? `The server answered ${answer.status}.`, said.next);
  return said;
}
