/** The operator's token: entered once, kept while the tab is open, sent with each request. */
import { useSyncExternalStore } from "react";

const KEY = "watchkeeper-token";
const watchers = new Set<() => void>();

export const token = {
  get: (): string => sessionStorage.getItem(KEY) ?? "",
  set(value: string): void {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
    watchers.forEach((told) => told());
  },
  subscribe(told: () => void): () => void {
    watchers.add(told);
    return () => watchers.delete(told);
  },
};

export const useToken = (): string => useSyncExternalStore(token.subscribe, token.get);

/** The headers by which a request tells who sends it. */
export const credentials = (): Record<string, string> =>
  token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
