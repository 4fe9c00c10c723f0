import { useSyncExternalStore } from "react";

import { asFailure } from "../api/problem";
import { IconButton } from "./Button";
import { cls } from "./class";
import { Icon } from "./Icon";

interface Told {
  id: number;
  tone: "good" | "bad";
  title: string;
  text?: string | undefined;
  act?: { label: string; act: () => void } | undefined;
}

let told: Told[] = [];
let last = 0;
const watchers = new Set<() => void>();

function change(next: Told[]) {
  told = next;
  for (const tell of watchers) tell();
}

const drop = (id: number) => change(told.filter((one) => one.id !== id));

function add(one: Omit<Told, "id">, seconds: number) {
  const id = ++last;
  change([...told.slice(-3), { ...one, id }]);
  setTimeout(() => drop(id), seconds * 1000);
}

/** Tell that something was done; `act` is something to do about it. */
export function tell(title: string, text?: string, act?: Told["act"]) {
  add({ tone: "good", title, text, act }, act ? 10 : 5);
}

/** Tell that something failed, and what to do. */
export function tellFailure(error: unknown) {
  const failure = asFailure(error);
  add({ tone: "bad", title: failure.title, text: failure.message }, 20);
}

/** Where it is told: at the edge of the page, and to screen readers when they have time. */
export function Toasts() {
  const all = useSyncExternalStore(
    (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    () => told,
  );
  return (
    <div aria-live="polite" className="pointer-events-none fixed right-3 bottom-3 z-50 flex w-88 max-w-[calc(100vw-1.5rem)] flex-col gap-2 max-sm:bottom-17">
      {all.map((one) => (
        <div key={one.id} className="arriving pointer-events-auto flex items-start gap-2.5 rounded-md bg-raised py-2 pr-1.5 pl-3 shadow-over">
          <Icon name={one.tone === "good" ? "check" : "alert"} className={cls("mt-1", one.tone === "good" ? "text-good" : "text-bad")} />
          <div className="min-w-0 flex-1 py-0.5">
            <p className="font-medium">{one.title}</p>
            {one.text && <p className="text-xs text-text-2">{one.text}</p>}
            {one.act && (
              <button type="button" className="mt-1 text-xs font-medium text-accent underline-offset-2 hover:underline" onClick={one.act.act}>
                {one.act.label}
              </button>
            )}
          </div>
          <IconButton icon="close" label="Dismiss" onClick={() => drop(one.id)} />
        </div>
      ))}
    </div>
  );
}
