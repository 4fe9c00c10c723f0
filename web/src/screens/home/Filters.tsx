import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { Keys } from "../../parts/Keys";
import { repositoryName } from "../../parts/words";
import type { HomeSearch } from "../../router";
import { useCommands } from "../../shell/keys";
import { type Filter, useCounts } from "./board";
import { repositoriesQuery } from "./choices";

const VERDICTS = ["fixed", "proven-new", "preserved", "regressed", "flaky", "unproven", "not-checked"];

/** What the list is narrowed to. It is in the address: a view can be kept and passed on. */
export function Filters({ filter }: { filter: Filter }) {
  const navigate = useNavigate();
  const counts = useCounts().data;
  const repositories = useQuery(repositoriesQuery).data?.items ?? [];
  const field = useRef<HTMLInputElement>(null);
  const change = (part: Partial<HomeSearch>) =>
    void navigate({
      to: "/",
      search: (before: HomeSearch) => ({ ...before, compose: undefined, ...part }),
      replace: true,
    });
  useCommands([
    { group: "List", label: "Search tasks", keys: "/", act: () => field.current?.focus() },
    { group: "List", label: "Show what needs you", keys: "f n", act: () => change({ show: "needs" }) },
    { group: "List", label: "Show what works", keys: "f w", act: () => change({ show: "working" }) },
    { group: "List", label: "Show all tasks", keys: "f a", act: () => void navigate({ to: "/", search: {} }) },
  ]);
  const states = counts?.states ?? {};
  const ended = (states.done ?? 0) + (states.failed ?? 0) + (states.cancelled ?? 0);
  const shows = [
    { show: "all", label: "All", count: counts?.total },
    { show: "needs", label: "Needs you", count: counts?.needed },
    { show: "working", label: "Working", count: counts && counts.total - ended },
    { show: "ended", label: "Ended", count: counts && ended },
  ] as const;
  return (
    <div className="top-0 z-20 flex flex-wrap sm:sticky items-center gap-x-2 gap-y-1.5 border-b border-line bg-ground px-4 py-2 max-sm:px-3">
      <div role="group" aria-label="Show" className="scroll-quiet flex gap-0.5 overflow-x-auto">
        {shows.map((one) => (
          <button
            key={one.show}
            type="button"
            aria-pressed={filter.show === one.show}
            onClick={() => change({ show: one.show === "all" ? undefined : one.show })}
            className={cls(
              "inline-flex h-7 items-center gap-1.5 rounded px-2 text-sm whitespace-nowrap max-sm:h-9",
              filter.show === one.show ? "bg-pressed font-medium text-text" : "text-text-2 hover:bg-hover",
            )}
          >
            {one.label}
            <span className={cls("tabular text-xs", one.show === "needs" && one.count ? "font-semibold text-warn" : "text-text-3")}>{one.count ?? ""}</span>
          </button>
        ))}
      </div>
      <div className="flex-1 max-sm:hidden" />
      <SearchField words={filter.words} field={field} onChange={(words) => change({ words: words || undefined })} />
      <Narrow label="Repository" value={filter.repository} onChange={(repository) => change({ repository })} options={repositories.map((one) => [one.key, repositoryName(one.location)])} />
      <Narrow label="Verdict" value={filter.verdict} onChange={(verdict) => change({ verdict })} options={VERDICTS.filter((one) => counts?.verdicts[one as never]).map((one) => [one, one])} />
      <Narrow label="Engine" value={filter.engine} onChange={(engine) => change({ engine })} options={Object.keys(counts?.engines ?? {}).map((one) => [one, one])} />
    </div>
  );
}

function SearchField({ words, field, onChange }: { words: string; field: React.RefObject<HTMLInputElement | null>; onChange: (words: string) => void }) {
  const [written, setWritten] = useState(words);
  const told = useRef(onChange);
  useEffect(() => {
    told.current = onChange;
  });
  // A view that was kept, or the way back: not while somebody writes.
  useEffect(() => {
    if (document.activeElement !== field.current) setWritten(words);
  }, [words, field]);
  useEffect(() => {
    if (written === words) return undefined;
    const timer = setTimeout(() => told.current(written), 250);
    return () => clearTimeout(timer);
  }, [written, words]);
  return (
    <label className="relative flex items-center max-sm:w-full">
      <Icon name="search" size={14} className="pointer-events-none absolute left-2 text-text-3" />
      <input
        ref={field}
        type="search"
        aria-label="Search tasks"
        placeholder="Search"
        value={written}
        onChange={(event) => setWritten(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && (written === "" ? event.currentTarget.blur() : setWritten(""))}
        className="h-7 w-44 rounded border border-control bg-raised pr-7 pl-7 text-sm placeholder:text-text-3 focus-visible:outline-offset-0 max-sm:h-9 max-sm:w-full max-sm:text-base"
      />
      {written === "" && (
        <span className="pointer-events-none absolute right-1.5 max-sm:hidden">
          <Keys keys="/" />
        </span>
      )}
    </label>
  );
}

function Narrow({ label, value, onChange, options }: { label: string; value: string | undefined; onChange: (value: string | undefined) => void; options: [string, string][] }) {
  if (options.length < 2 && value === undefined) return null;
  return (
    <select
      aria-label={label}
      value={value ?? ""}
      onChange={(event) => onChange(event.target.value || undefined)}
      className={cls("h-7 max-w-36 rounded border bg-raised px-1.5 text-sm max-sm:h-9 max-sm:flex-1", value ? "border-accent text-text" : "border-control text-text-2")}
    >
      <option value="">{label}</option>
      {options.map(([one, words]) => (
        <option key={one} value={one}>
          {words}
        </option>
      ))}
    </select>
  );
}
