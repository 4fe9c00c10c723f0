import { type ComponentProps, type ReactNode, useId } from "react";

import { cls } from "./class";

export const controlClass =
  "rounded border border-control bg-raised px-2.5 text-sm text-text placeholder:text-text-3 max-sm:text-base focus-visible:outline-offset-0 disabled:opacity-50 aria-invalid:border-bad";

/** A control with its name, a hint, and what is wrong with it. */
export function Field({
  label,
  hint,
  error,
  children,
  className,
}: {
  label: ReactNode;
  hint?: ReactNode;
  error?: ReactNode;
  className?: string;
  children: (given: { id: string; "aria-describedby"?: string; "aria-invalid"?: true }) => ReactNode;
}) {
  const id = useId();
  const described = hint || error ? `${id}-about` : undefined;
  return (
    <div className={cls("flex flex-col gap-1", className)}>
      <label htmlFor={id} className="text-xs font-medium text-text-2">
        {label}
      </label>
      {children({ id, "aria-describedby": described, ...(error ? { "aria-invalid": true as const } : {}) })}
      {described && (
        <p id={described} className={cls("text-xs", error ? "text-bad" : "text-text-3")}>
          {error || hint}
        </p>
      )}
    </div>
  );
}

// As wide as there is room, unless its class says how wide.
const wide = (className: string | undefined) => !/\bw-/.test(className ?? "") && "w-full";

/** One line of text. */
export function Input({ className, ...rest }: ComponentProps<"input">) {
  return <input autoComplete="off" spellCheck={false} {...rest} className={cls(controlClass, wide(className), "h-8 max-sm:h-10", className)} />;
}

/** Several lines of text; it grows with what is written. */
export function TextArea({ className, ...rest }: ComponentProps<"textarea">) {
  return <textarea {...rest} className={cls(controlClass, wide(className), "field-sizing-content min-h-16 py-1.5", className)} />;
}

/** One of a few. The browser's own list: it works with every keyboard, screen reader and phone. */
export function Select({ className, children, ...rest }: ComponentProps<"select">) {
  return (
    <select {...rest} className={cls(controlClass, wide(className), "h-8 pr-1 max-sm:h-10", className)}>
      {children}
    </select>
  );
}

/** Yes or no, with its words beside it. */
export function Check({ label, className, ...rest }: ComponentProps<"input"> & { label: ReactNode }) {
  return (
    <label className={cls("inline-flex min-h-7 cursor-pointer items-center gap-2 text-sm", className)}>
      <input type="checkbox" {...rest} className="size-4 accent-accent" />
      {label}
    </label>
  );
}
