import { useSyncExternalStore } from "react";

/** A clock that moves on for everything on the page at once, as long as anything looks at it. */
function clock(milliseconds: number): () => number {
  const watchers = new Set<() => void>();
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  const watch = (changed: () => void) => {
    watchers.add(changed);
    timer ??= setInterval(() => {
      now = Date.now();
      for (const tell of watchers) tell();
    }, milliseconds);
    return () => {
      watchers.delete(changed);
      if (watchers.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  };
  const look = () => {
    // Nobody has looked for a while: it starts from the right time.
    if (timer === undefined && Date.now() - now >= milliseconds) now = Date.now();
    return now;
  };
  return () => useSyncExternalStore(watch, look);
}

/** The time, every ten seconds: for ages. */
export const useNow = clock(10_000);

/** The time, every second: for what is running. */
export const useSecond = clock(1_000);
