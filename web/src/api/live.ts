/** What happens, as it happens: `/api/live`, read with the token, resumed after the last event that came. */
import { useSyncExternalStore } from "react";
import { type Event, Refusal } from "./client";
import { read } from "./stream";

/** `refused`: the server answers, and wants another token. */
export type Connection = "connecting" | "live" | "lost" | "refused";
const SILENT_MS = 40_000; // a sign of life comes every 15 s
const MOST_WAIT_MS = 8_000;

export class Live {
  connection: Connection = "connecting";
  private after: string | null = null;
  private running = false;
  private hurried = false;
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
    this.hurried = true;
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
      this.hurried = false;
      let refused = false;
      try {
        await this.read(() => (wait = 500));
      } catch (problem) {
        // Whatever else ended it, the page says that it is lost, and comes back.
        refused = problem instanceof Refusal && problem.status === 401;
      }
      if (this.hurried) continue;
      this.become(refused ? "refused" : "lost");
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, wait);
      });
      wait = Math.min(wait * 2, MOST_WAIT_MS);
    }
  }

  private async read(connected: () => void): Promise<void> {
    const query = this.after === null ? "" : `?after=${this.after}`;
    const stopper = this.stopper;
    let silent = setTimeout(() => stopper.abort(), SILENT_MS);
    try {
      await read(`/api/live${query}`, {
        signal: stopper.signal,
        connected: () => {
          connected();
          this.become("live");
        },
        heard: () => {
          clearTimeout(silent);
          silent = setTimeout(() => stopper.abort(), SILENT_MS);
        },
        told: ({ id, data }) => {
          if (id) this.after = id;
          if (data.startsWith("{")) this.tell(JSON.parse(data) as Event);
        },
      });
    } catch (problem) {
      if (problem instanceof Refusal && problem.status === 422) this.after = null; // the history is another one: it was restored
      throw problem;
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
