import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const KEY = "pullwright.theme";
const watchers = new Set<() => void>();
const now = (): Theme => (document.documentElement.dataset.theme as Theme | undefined) ?? "system";

/** The theme that holds, and how to choose another; it is kept in this browser. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const theme = useSyncExternalStore((changed) => {
    watchers.add(changed);
    return () => watchers.delete(changed);
  }, now);
  return [theme, choose];
}

function choose(theme: Theme) {
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEY, theme);
  }
  for (const tell of watchers) tell();
}

const darkSystem = matchMedia("(prefers-color-scheme: dark)");

/** Whether it is dark now, for what paints by itself (a canvas, highlighted code). */
export function useDark(): boolean {
  return useSyncExternalStore(
    (changed) => {
      watchers.add(changed);
      darkSystem.addEventListener("change", changed);
      return () => {
        watchers.delete(changed);
        darkSystem.removeEventListener("change", changed);
      };
    },
    () => (now() === "system" ? darkSystem.matches : now() === "dark"),
  );
}
