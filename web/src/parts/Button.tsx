import type { ComponentProps, ReactNode } from "react";

import { cls } from "./class";
import { Icon, type IconName } from "./Icon";
import { Tooltip } from "./Tooltip";

const LOOKS = {
  primary: "bg-ink text-on-ink hover:opacity-90 active:opacity-80 border-transparent",
  plain: "bg-raised text-text border-line-strong hover:bg-hover active:bg-pressed",
  quiet: "bg-transparent text-text-2 border-transparent hover:bg-hover hover:text-text active:bg-pressed",
  danger: "bg-raised text-bad border-line-strong hover:bg-bad-soft",
} as const;

export interface Looks {
  look?: keyof typeof LOOKS;
  size?: "sm" | "md";
}

/** The classes of a button, for links that look like one. */
export function buttonClass({ look = "plain", size = "md" }: Looks, extra?: string): string {
  return cls(
    "inline-flex shrink-0 items-center justify-center gap-1.5 rounded border font-medium whitespace-nowrap select-none no-underline",
    "transition-[background-color,opacity] duration-100 disabled:cursor-not-allowed disabled:opacity-45 aria-disabled:opacity-45",
    size === "sm" ? "h-7 px-2 text-xs max-sm:h-9" : "h-8 px-3 text-sm max-sm:h-10",
    LOOKS[look],
    extra,
  );
}

type ButtonProps = ComponentProps<"button"> & Looks & { icon?: IconName; busy?: boolean };

/** Something to press. While `busy` it takes no second press and says so. */
export function Button({ look, size, icon, busy, children, className, disabled, type = "button", ...rest }: ButtonProps) {
  return (
    <button {...rest} type={type} disabled={disabled || busy} aria-busy={busy || undefined} className={buttonClass({ look, size }, className)}>
      {busy ? <span aria-hidden="true" className="breathing size-2 rounded-full bg-current" /> : icon && <Icon name={icon} size={14} />}
      {children}
    </button>
  );
}

type IconButtonProps = Omit<ComponentProps<"button">, "children"> & { icon: IconName; label: string; keys?: string; pressed?: boolean; badge?: ReactNode };

/** A button that is only a picture: `label` names it, the tooltip shows the name and the keys. */
export function IconButton({ icon, label, keys, pressed, badge, className, ...rest }: IconButtonProps) {
  return (
    <Tooltip text={label} keys={keys}>
      <button
        type="button"
        {...rest}
        aria-label={label}
        aria-pressed={pressed}
        className={cls(
          "relative inline-flex size-7 shrink-0 items-center justify-center rounded text-text-2 hover:bg-hover hover:text-text active:bg-pressed disabled:opacity-40 max-sm:size-10",
          pressed && "bg-selected text-accent",
          className,
        )}
      >
        <Icon name={icon} />
        {badge}
      </button>
    </Tooltip>
  );
}
