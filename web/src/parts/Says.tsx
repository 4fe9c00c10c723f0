import type { ReactNode } from "react";

import { asFailure } from "../api/problem";
import { Button } from "./Button";
import { Icon, type IconName } from "./Icon";

/** Nothing is here yet: what would be, and the first step to it. */
export function Empty({ icon, title, children, action }: { icon: IconName; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-md flex-col items-center gap-2 px-4 py-14 text-center">
      <span className="mb-1 inline-flex size-10 items-center justify-center rounded-lg bg-hover text-text-2">
        <Icon name={icon} size={20} />
      </span>
      <h2 className="text-base font-semibold">{title}</h2>
      {children && <div className="text-sm text-text-2">{children}</div>}
      {action && <div className="mt-2 flex gap-2">{action}</div>}
    </div>
  );
}

/** What went wrong and what to do about it. */
export function ErrorBox({ error, again, className }: { error: unknown; again?: (() => void) | undefined; className?: string }) {
  const failure = asFailure(error);
  return (
    <div role="alert" className={`flex items-start gap-2.5 rounded-md bg-bad-soft px-3 py-2.5 text-sm ${className ?? ""}`}>
      <Icon name="alert" className="mt-0.5 text-bad" />
      <div className="min-w-0 flex-1">
        <p className="font-medium text-bad">{failure.title}</p>
        <p className="whitespace-pre-wrap text-text">{failure.message}</p>
      </div>
      {again && (
        <Button size="sm" icon="retry" onClick={again}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** The shape of what is being fetched. */
export function Loading({ lines = 3, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div role="status" aria-label={label} className="flex flex-col gap-3 p-4">
      {Array.from({ length: lines }, (_, place) => (
        <div key={place} className="breathing h-4 rounded bg-pressed" style={{ width: `${90 - ((place * 17) % 45)}%` }} />
      ))}
    </div>
  );
}
