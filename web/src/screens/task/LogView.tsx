import { useVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useEffect, useRef, useState } from "react";

import type { Failure } from "../../api/problem";
import { Button, IconButton } from "../../parts/Button";
import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { ErrorBox } from "../../parts/Says";
import { bytes } from "../../parts/words";
import { useFound } from "./lines";

const LINE = 18;

interface LogViewProps {
  lines: string[];
  label: string;
  /** It still grows: the end is followed until somebody scrolls away from it. */
  live?: boolean;
  reading?: boolean;
  error?: Failure | null;
  read?: { read: number; size: number; more: (() => void) | null } | undefined;
  address?: string | undefined;
  /** The line to show first, counted from 1. */
  at?: number | null | undefined;
  /** A line that begins a part of the log, for the eye. */
  heading?: ((line: string) => boolean) | undefined;
  className?: string;
}

/** A log of any length: only the lines in sight are on the page. Search, line numbers, the end followed. */
export function LogView({ lines, label, live = false, reading = false, error = null, read, address, at, heading, className }: LogViewProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [follow, setFollow] = useState(live);
  const [words, setWords] = useState("");
  const asked = useDeferredValue(words);
  const found = useFound(lines, asked);
  const [place, setPlace] = useState(0);
  const here = found.length === 0 ? -1 : Math.min(place, found.length - 1);
  const virtual = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => LINE, overscan: 30 });

  useEffect(() => {
    if (follow && lines.length > 0) virtual.scrollToIndex(lines.length - 1, { align: "end" });
  }, [follow, lines.length, virtual]);
  const wanted = at !== null && at !== undefined && at <= lines.length ? at - 1 : null;
  useEffect(() => {
    if (wanted !== null) virtual.scrollToIndex(wanted, { align: "center" });
  }, [wanted, virtual]);
  useEffect(() => {
    const line = found[here];
    if (line !== undefined) virtual.scrollToIndex(line, { align: "center" });
  }, [found, here, virtual]);

  const step = (by: number) => {
    if (found.length === 0) return;
    setFollow(false);
    setPlace((here + by + found.length) % found.length);
  };
  const digits = String(lines.length).length;
  return (
    <section aria-label={label} className={cls("flex min-h-0 flex-col bg-code", className)}>
      <div className="flex shrink-0 flex-wrap items-center gap-1.5 border-b border-line px-2 py-1.5">
        <label className="relative flex items-center">
          <Icon name="search" size={14} className="pointer-events-none absolute left-2 text-text-3" />
          <input
            type="search"
            aria-label={`Search in ${label}`}
            placeholder="Search"
            value={words}
            onChange={(event) => {
              setWords(event.target.value);
              setPlace(0);
            }}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              step(event.shiftKey ? -1 : 1);
            }}
            className="h-7 w-44 rounded border border-control bg-raised pr-2 pl-7 text-xs placeholder:text-text-3 max-sm:h-9 max-sm:w-36 max-sm:text-base"
          />
        </label>
        {words !== "" && (
          <>
            <span className="tabular text-xs text-text-2" aria-live="polite">
              {found.length === 0 ? "nothing" : `${here + 1} of ${found.length}`}
            </span>
            <IconButton icon="up" label="Previous" disabled={found.length === 0} onClick={() => step(-1)} />
            <IconButton icon="down" label="Next" disabled={found.length === 0} onClick={() => step(1)} />
          </>
        )}
        <span className="flex-1" />
        <span className="tabular text-xs text-text-3">
          {lines.length.toLocaleString()} lines
          {read && read.read < read.size && ` · ${bytes(read.read)} of ${bytes(read.size)}`}
          {reading && " · reading"}
        </span>
        {read?.more && (
          <Button size="sm" onClick={read.more}>
            Read on
          </Button>
        )}
        {address && (
          <a href={address} target="_blank" rel="noreferrer" className="text-xs text-accent underline-offset-2 hover:underline">
            Raw
          </a>
        )}
        <IconButton icon="follow" label={follow ? "Stop following the end" : "Follow the end"} pressed={follow} onClick={() => setFollow(!follow)} />
      </div>
      {error && <ErrorBox error={error} className="m-2" />}
      <div
        ref={scroller}
        // Keyboards scroll what has the focus.
        tabIndex={0}
        role="log"
        aria-label={label}
        aria-live="off"
        data-testid="log-lines"
        onWheel={(event) => event.deltaY < 0 && setFollow(false)}
        onKeyDown={(event) => /^(ArrowUp|PageUp|Home)$/.test(event.key) && setFollow(false)}
        onTouchMove={() => setFollow(false)}
        className="scroll-quiet min-h-0 flex-1 overflow-auto font-mono text-xs focus-visible:-outline-offset-2"
      >
        <div className="relative w-max min-w-full" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index] ?? "";
            const hit = asked ? found[here] === item.index : wanted === item.index;
            return (
              <div key={item.key} className={cls("absolute top-0 left-0 flex min-w-full whitespace-pre", hit && "bg-warn-soft")} style={{ height: LINE, lineHeight: `${LINE}px`, transform: `translateY(${item.start}px)` }}>
                <span aria-hidden="true" className="sticky left-0 shrink-0 bg-code pr-3 pl-2 text-right text-text-3 select-none" style={{ width: `${digits + 3}ch` }}>
                  {item.index + 1}
                </span>
                <span className={cls("pr-4", heading?.(line) && "font-semibold text-accent")}>{asked ? <Marked line={line} words={asked} /> : line}</span>
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}

function Marked({ line, words }: { line: string; words: string }) {
  const low = line.toLowerCase();
  const asked = words.toLowerCase();
  const parts = [];
  let from = 0;
  for (let at = low.indexOf(asked); at >= 0 && parts.length < 200; at = low.indexOf(asked, from)) {
    parts.push(line.slice(from, at), <mark key={at} className="rounded-xs bg-warn-soft text-inherit outline outline-warn/40">{line.slice(at, at + asked.length)}</mark>);
    from = at + asked.length;
  }
  return (
    <>
      {parts}
      {line.slice(from)}
    </>
  );
}
