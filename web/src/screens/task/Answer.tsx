import type { Task } from "../../api/queries";
import { Icon } from "../../parts/Icon";
import { Prose } from "../../parts/Prose";

/** What a question found out, with the places that it names. */
export function Answer({ text, citations }: { text: string; citations: Task["citations"] }) {
  return (
    <section aria-label="Answer" className="scroll-quiet m-4 max-h-[45%] shrink-0 overflow-y-auto rounded-md bg-raised p-4 shadow-raised max-sm:m-3">
      <h2 className="mb-1 text-xs font-semibold text-text-3">Answer</h2>
      <Prose text={text} />
      {citations.length > 0 && (
        <ul className="mt-3 flex flex-wrap gap-1.5">
          {citations.map((one, place) => (
            <li key={place} title={one.problem || undefined} className={`inline-flex items-center gap-1 rounded-sm px-1.5 py-0.5 font-mono text-xs ${one.problem ? "bg-warn-soft text-warn" : "bg-hover text-text-2"}`}>
              {one.problem && <Icon name="alert" size={12} />}
              {one.path}:{one.first === one.last ? one.first : `${one.first}–${one.last}`}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
