import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";

import { cls } from "./class";
import { Icon, type IconName } from "./Icon";
import { Keys } from "./Keys";

export interface MenuItem {
  label: string;
  icon?: IconName;
  keys?: string;
  hint?: string;
  danger?: boolean;
  disabled?: boolean;
  checked?: boolean;
  act: () => void;
}

/** A button that opens a list of acts (https://www.w3.org/WAI/ARIA/apg/patterns/menu-button/). */
export function Menu({
  items,
  children,
  label,
  className,
  align = "end",
}: {
  items: MenuItem[];
  children: ReactNode;
  label?: string;
  className?: string;
  align?: "start" | "end";
}) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return undefined;
    list.current?.querySelector<HTMLElement>("[role^=menuitem]:not(:disabled)")?.focus();
    const away = (event: PointerEvent) => {
      const target = event.target as Node;
      if (!list.current?.contains(target) && !button.current?.contains(target)) setOpen(false);
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [open]);

  const move = (event: KeyboardEvent) => {
    const entries = [...(list.current?.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)") ?? [])];
    const here = entries.indexOf(document.activeElement as HTMLElement);
    const places: Record<string, number> = { ArrowDown: here + 1, ArrowUp: here - 1 + entries.length, Home: 0, End: entries.length - 1 };
    const next = places[event.key];
    if (next !== undefined) {
      event.preventDefault();
      entries[next % entries.length]?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      if (event.key === "Escape") event.preventDefault();
      event.stopPropagation();
      setOpen(false);
      button.current?.focus();
    }
  };

  return (
    <div className="relative inline-flex">
      <button
        ref={button}
        type="button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          setOpen(true);
        }}
        className={className}
      >
        {children}
      </button>
      {open && (
        <div
          ref={list}
          id={id}
          role="menu"
          tabIndex={-1}
          aria-label={label}
          onKeyDown={move}
          className={cls(
            "arriving absolute top-full z-40 mt-1 max-h-[60vh] w-max min-w-44 max-w-80 overflow-y-auto rounded-md bg-raised p-1 shadow-over",
            align === "end" ? "right-0" : "left-0",
          )}
        >
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role={item.checked === undefined ? "menuitem" : "menuitemradio"}
              aria-checked={item.checked}
              disabled={item.disabled}
              tabIndex={-1}
              onClick={() => {
                setOpen(false);
                button.current?.focus();
                item.act();
              }}
              className={cls(
                "flex w-full items-center gap-2 rounded px-2 py-1.5 text-left text-sm outline-none focus:bg-hover disabled:opacity-45 hover:bg-hover max-sm:py-2.5",
                item.danger && "text-bad",
              )}
            >
              {item.icon && <Icon name={item.icon} size={14} className={item.danger ? "" : "text-text-3"} />}
              <span className="flex-1">
                {item.label}
                {item.hint && <span className="block text-xs text-text-3">{item.hint}</span>}
              </span>
              {item.checked && <Icon name="check" size={14} className="text-accent" />}
              {item.keys && <Keys keys={item.keys} />}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
