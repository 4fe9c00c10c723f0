import type { ReactNode } from "react";

import { cls } from "./class";

/** A part of a page with its heading, a sentence about it, and what can be done. */
export function Section({ title, about, action, children, className }: { title: string; about?: ReactNode; action?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section aria-label={title} className={className}>
      <header className="mb-2 flex flex-wrap items-end justify-between gap-x-4 gap-y-1">
        <div className="min-w-0">
          <h2 className="text-base font-semibold">{title}</h2>
          {about && <p className="max-w-prose text-xs text-text-3">{about}</p>}
        </div>
        {action && <div className="flex items-center gap-2">{action}</div>}
      </header>
      {children}
    </section>
  );
}

/** Rows and columns. On a narrow screen it is scrolled sideways, by keyboard too. */
export function Table({ label, head, children, className }: { label: string; head: { name: string; right?: boolean; hidden?: boolean }[]; children: ReactNode; className?: string }) {
  return (
    <div role="region" aria-label={label} tabIndex={0} className={cls("scroll-quiet relative overflow-x-auto rounded-md bg-raised shadow-raised", className)}>
      <table className="tabular w-full min-w-152 border-collapse text-sm break-words">
        <thead>
          <tr className="border-b border-line text-left text-xs text-text-3">
            {head.map((one) => (
              <th key={one.name} scope="col" className={cls("px-3 py-2 font-medium whitespace-nowrap", one.right && "text-right")}>
                {one.hidden ? <span className="sr-only">{one.name}</span> : one.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="[&>tr]:border-b [&>tr]:border-line [&>tr:last-child]:border-0 [&_td]:px-3 [&_td]:py-2 [&_td]:align-top">{children}</tbody>
      </table>
    </div>
  );
}
