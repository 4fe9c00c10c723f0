import type { ReactNode } from "react";

import { cls } from "./class";

// `code` and **strong** are what models write most; everything else is left as it stands.
const INLINE = /(`[^`\n]+`|\*\*[^*\n]+\*\*)/g;

function inline(text: string): ReactNode[] {
  return text.split(INLINE).map((part, place) => {
    if (place % 2 === 0) return part;
    return part.startsWith("`") ? (
      <code key={place} className="rounded-xs bg-hover px-1 py-px font-mono text-[0.92em]">
        {part.slice(1, -1)}
      </code>
    ) : (
      <strong key={place} className="font-semibold">
        {part.slice(2, -2)}
      </strong>
    );
  });
}

/** Words of a model or a person, with the little of Markdown that helps reading. Nothing in it is ever markup. */
export function Prose({ text, className }: { text: string; className?: string }) {
  const parts = text.split(/^```[^\n]*\n?/m);
  return (
    <div className={cls("max-w-[80ch] text-sm", className)}>
      {parts.map((part, place) =>
        place % 2 === 1 ? (
          <pre key={place} className="scroll-quiet my-1.5 max-h-80 overflow-auto rounded border border-line bg-code px-3 py-2 font-mono text-xs">
            {part.replace(/\n$/, "")}
          </pre>
        ) : (
          part.trim() !== "" && (
            <p key={place} className="whitespace-pre-wrap">
              {inline(part.replace(/^\n+|\n+$/g, ""))}
            </p>
          )
        ),
      )}
    </div>
  );
}
