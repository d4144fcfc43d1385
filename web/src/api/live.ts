/** What happens, as it happens: `/api/live`, read with the token, resumed after the last event that came. */
import { useSyncExternalStore } from "react";
import type { Event } from "./client";
import { credentials } from "./token";

export type Connection = "connecting" | "live" | "lost";
const SILENT_MS = 40_000; // a sign of life comes every 15 s
const MOST_WAIT_MS = 8_000;

/** Pieces of a stream of server-sent events, put together: what is whole, and what is left over. */
export function split(text: string): { whole: { id: string; event: string; data: string }[]; rest: string } {
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

export class Live {
  connection: Connection = "connecting";
  private after: string | null = null;
  private running = false;
  private stopper = new AbortController();
  private wake: () => void = () => undefined;
  private readonly watchers = new Set<() => void>();
  private readonly followers = new Set<(event: Event) => void>();
  private readonly returns = new Set<() => void>();

  start(): void {
    if (this.running) return;
    this.running = true;
    void this.run();
    window.addEventListener("online", () => this.again());
    window.addEventListener("offline", () => this.stopper.abort());
  }

  /** Connects anew: there is another token, or the network is back. */
  again(): void {
    this.stopper.abort();
    this.wake();
  }

  follow(told: (event: Event) => void): () => void {
    this.followers.add(told);
    return () => this.followers.delete(told);
  }

  /** Called whenever it is connected again after it was lost. */
  onReturn(told: () => void): () => void {
    this.returns.add(told);
    return () => this.returns.delete(told);
  }

  subscribe = (told: () => void): (() => void) => {
    this.watchers.add(told);
    return () => this.watchers.delete(told);
  };

  private become(connection: Connection): void {
    if (connection === this.connection) return;
    const back = connection === "live" && this.connection === "lost";
    this.connection = connection;
    this.watchers.forEach((told) => told());
    if (back) this.returns.forEach((told) => told());
  }

  private async run(): Promise<void> {
    let wait = 500;
    for (;;) {
      this.stopper = new AbortController();
      try {
        await this.read(() => (wait = 500));
      } catch {
        // Whatever ended it, the page says that it is lost, and comes back.
      }
      this.become("lost");
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, wait);
      });
      wait = Math.min(wait * 2, MOST_WAIT_MS);
    }
  }

  private async read(connected: () => void): Promise<void> {
    const query = this.after === null ? "" : `?after=${this.after}`;
    const headers = { Accept: "text/event-stream", ...credentials() };
    let silent = setTimeout(() => this.stopper.abort(), SILENT_MS);
    const answer = await fetch(`/api/live${query}`, { headers, signal: this.stopper.signal, cache: "no-store" });
    if (answer.status === 422) this.after = null; // the history is another one: it was restored
    if (!answer.ok || !answer.body) throw new Error(String(answer.status));
    connected();
    this.become("live");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silent);
        silent = setTimeout(() => this.stopper.abort(), SILENT_MS);
        const { whole, rest } = split(text + value.replaceAll("\r", ""));
        text = rest;
        for (const { id, data } of whole) {
          if (id) this.after = id;
          if (data.startsWith("{")) this.tell(JSON.parse(data) as Event);
        }
      }
    } finally {
      clearTimeout(silent);
    }
  }

  private tell(event: Event): void {
    if (event.kind) this.followers.forEach((told) => told(event));
  }
}

export const live = new Live();
export const useConnection = (): Connection => useSyncExternalStore(live.subscribe, () => live.connection);
