import { useEffect, useRef, useSyncExternalStore } from "react";

/** Something that can be done here and now: it is in the palette, and on a key where it has one. */
export interface Command {
  /** What it does, as the palette and the overlay say it. */
  label: string;
  /** `c`, `shift+a`, `mod+k`, or one after the other: `g h`. */
  keys?: string;
  /** The heading it stands under. */
  group: string;
  act: () => void;
  /** Not offered in the palette: moving about in a list. */
  hidden?: boolean;
  /** Works while something is being written, too. */
  writing?: boolean;
  /** Other words by which it may be looked for. */
  words?: string;
}

let layers: { commands: Command[] }[] = [];
let version = 0;
const watchers = new Set<() => void>();

function changed() {
  version += 1;
  for (const tell of watchers) tell();
}

/** Offer commands as long as the component is there; of two on one key the later one holds. */
export function useCommands(commands: Command[]) {
  const layer = useRef({ commands });
  const shape = commands.map((one) => `${one.group}/${one.label}/${one.keys ?? ""}`).join("\n");
  useEffect(() => {
    layer.current.commands = commands;
  });
  useEffect(() => {
    const mine = layer.current;
    layers = [...layers, mine];
    changed();
    return () => {
      layers = layers.filter((one) => one !== mine);
      changed();
    };
  }, [shape]);
}

/** All that can be done now, the innermost first. */
export function useAllCommands(): Command[] {
  useSyncExternalStore(
    (tell) => {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    () => version,
  );
  return offered();
}

function offered(): Command[] {
  const taken = new Set<string>();
  return layers
    .toReversed()
    .flatMap((layer) => layer.commands)
    .filter((one) => {
      if (!one.keys) return true;
      if (taken.has(one.keys)) return false;
      taken.add(one.keys);
      return true;
    });
}

function writing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) && !(target instanceof HTMLInputElement && /^(checkbox|radio|button)$/.test(target.type));
}

function pressOf(event: KeyboardEvent): string {
  const key = event.key === " " ? "space" : event.key.replace(/^Arrow/, "").toLowerCase();
  const parts = [event.metaKey || event.ctrlKey ? "mod" : "", event.altKey ? "alt" : "", event.shiftKey && /^[a-z]$|^.{2,}$/.test(key) ? "shift" : "", key];
  return parts.filter(Boolean).join("+");
}

/** Hears the keys of the whole page. */
export function hearKeys(): () => void {
  let before = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hear = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing) return;
    const press = pressOf(event);
    const busy = writing(event.target);
    // Over an open dialog only what is meant for it works.
    const blocked = document.querySelector("dialog[open]") !== null;
    // A focused link or button has these keys for itself.
    if (/^(enter|space)$/.test(press) && event.target instanceof Element && event.target.closest("a, button, summary, label, [role=menuitem]")) return;
    const all = offered().filter((one) => one.keys && (one.writing || !(busy || blocked)));
    const found = all.find((one) => one.keys === `${before} ${press}`.trim()) ?? all.find((one) => one.keys === press);
    clearTimeout(timer);
    before = "";
    if (found) {
      event.preventDefault();
      found.act();
    } else if (all.some((one) => one.keys?.startsWith(`${press} `))) {
      before = press;
      timer = setTimeout(() => (before = ""), 1200);
    }
  };
  addEventListener("keydown", hear);
  return () => removeEventListener("keydown", hear);
}
