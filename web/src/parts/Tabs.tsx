import { type KeyboardEvent, type ReactNode, useId } from "react";

import { cls } from "./class";

export interface Tab<Name extends string> {
  name: Name;
  label: ReactNode;
  count?: number | string | undefined;
}

/** Several views of one thing (https://www.w3.org/WAI/ARIA/apg/patterns/tabs/). */
export function Tabs<Name extends string>({
  tabs,
  chosen,
  onChoose,
  label,
  children,
  className,
  panelClass,
}: {
  tabs: Tab<Name>[];
  chosen: Name;
  onChoose: (name: Name) => void;
  label: string;
  children: ReactNode;
  className?: string;
  panelClass?: string;
}) {
  const id = useId();
  const move = (event: KeyboardEvent) => {
    const here = tabs.findIndex((tab) => tab.name === chosen);
    const places: Record<string, number> = { ArrowRight: here + 1, ArrowLeft: here - 1 + tabs.length, Home: 0, End: tabs.length - 1 };
    const next = places[event.key];
    const tab = next === undefined ? undefined : tabs[next % tabs.length];
    if (!tab) return;
    event.preventDefault();
    onChoose(tab.name);
    document.getElementById(`${id}-${tab.name}`)?.focus();
  };
  return (
    <>
      <div
        role="tablist"
        tabIndex={-1}
        aria-label={label}
        onKeyDown={move}
        className={cls("scroll-quiet flex shrink-0 gap-4 overflow-x-auto overflow-y-hidden border-b border-line", className)}
      >
        {tabs.map((tab) => (
          <button
            key={tab.name}
            id={`${id}-${tab.name}`}
            type="button"
            role="tab"
            aria-selected={tab.name === chosen}
            aria-controls={`${id}-panel`}
            tabIndex={tab.name === chosen ? 0 : -1}
            onClick={() => onChoose(tab.name)}
            className={cls(
              "-mb-px inline-flex h-9 items-center gap-1.5 border-b-2 text-sm whitespace-nowrap focus-visible:-outline-offset-2 max-sm:h-11",
              tab.name === chosen ? "border-accent font-medium text-text" : "border-transparent text-text-2 hover:text-text",
            )}
          >
            {tab.label}
            {tab.count !== undefined && <span className="tabular rounded-full bg-hover px-1.5 text-2xs text-text-2">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} role="tabpanel" aria-labelledby={`${id}-${chosen}`} className={panelClass}>
        {children}
      </div>
    </>
  );
}
