import { useSyncExternalStore } from "react";

const KEY = "pullwright.notify";
const watchers = new Set<() => void>();

export type Notifying = "on" | "off" | "blocked" | "impossible";

function now(): Notifying {
  if (!("Notification" in globalThis) || !isSecureContext) return "impossible";
  if (Notification.permission === "denied") return "blocked";
  return Notification.permission === "granted" && localStorage.getItem(KEY) === "on" ? "on" : "off";
}

/** Whether the person is told by the browser, and how to change it. */
export function useNotifying(): [Notifying, (on: boolean) => Promise<void>] {
  const state = useSyncExternalStore((changed) => {
    watchers.add(changed);
    return () => watchers.delete(changed);
  }, now);
  return [
    state,
    async (on) => {
      if (on && Notification.permission === "default") await Notification.requestPermission();
      localStorage.setItem(KEY, on ? "on" : "off");
      for (const tell of watchers) tell();
    },
  ];
}

/** Tell it once over all tabs: the browser shows one notification per tag. */
export function notify(title: string, body: string, tag: string, open: () => void) {
  if (now() !== "on" || document.visibilityState === "visible") return;
  const shown = new Notification(title, { body, tag, icon: "/icon.svg" });
  shown.addEventListener("click", () => {
    window.focus();
    open();
    shown.close();
  });
}
