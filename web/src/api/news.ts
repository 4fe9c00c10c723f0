import { useSyncExternalStore } from "react";

import { type StreamState, listen } from "./stream";

/** That something happened in a log; what, is in the log. */
export interface Happened {
  task: string;
  log: string;
  number: number;
  kind: string;
  state: string | null;
  at: string;
}

type Message = { happened: Happened } | { state: StreamState };

const ADDRESS = "/api/v1/events";
const listeners = new Set<(happened: Happened) => void>();
const watchers = new Set<() => void>();
let state: StreamState = "connecting";
let stop: (() => void) | null = null;

function hear(message: Message) {
  if ("happened" in message) for (const tell of listeners) tell(message.happened);
  else if (message.state !== state) {
    state = message.state;
    for (const tell of watchers) tell();
  }
}

/**
 * One tab of a browser listens and tells the others: a browser opens six connections to a server at most, and a person
 * has more tabs than that. Where the browser has no locks (plain HTTP from elsewhere) each tab listens for itself.
 */
function start(): () => void {
  if (!("locks" in navigator) || !("BroadcastChannel" in globalThis)) return own(hear);
  const channel = new BroadcastChannel("pullwright.news");
  const leaving = new AbortController();
  channel.addEventListener("message", (event: MessageEvent<Message | "state?">) => {
    if (event.data !== "state?") hear(event.data);
    else if (leading) channel.postMessage({ state });
  });
  let leading = false;
  const tell = (message: Message) => {
    hear(message);
    channel.postMessage(message);
  };
  void navigator.locks
    .request("pullwright.news", { signal: leaving.signal }, async () => {
      leading = true;
      const end = own(tell);
      await new Promise((resolve) => leaving.signal.addEventListener("abort", resolve));
      end();
    })
    .catch(() => undefined);
  channel.postMessage("state?");
  return () => {
    leaving.abort();
    channel.close();
  };
}

function own(tell: (message: Message) => void): () => void {
  return listen(ADDRESS, {
    after: null,
    events: { happened: (data) => tell({ happened: data as Happened }) },
    state: (now) => tell({ state: now }),
  });
}

/** Hear of everything that happens from now on. */
export function onNews(tell: (happened: Happened) => void): () => void {
  listeners.add(tell);
  stop ??= start();
  return () => {
    listeners.delete(tell);
  };
}

/** Stop listening, as after signing out. */
export function hushNews() {
  stop?.();
  stop = null;
}

/** Whether what is shown is live. */
export function useNewsState(): StreamState {
  return useSyncExternalStore(watch, look);
}

const look = () => state;

function watch(changed: () => void): () => void {
  watchers.add(changed);
  return () => watchers.delete(changed);
}
