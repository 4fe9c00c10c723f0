import { useSyncExternalStore } from "react";

const watchers = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

/** The time, moving on every ten seconds for everything on the page at once. */
export function useNow(): number {
  return useSyncExternalStore(
    (changed) => {
      watchers.add(changed);
      timer ??= setInterval(() => {
        now = Date.now();
        for (const tell of watchers) tell();
      }, 10_000);
      return () => {
        watchers.delete(changed);
        if (watchers.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      };
    },
    () => now,
  );
}
