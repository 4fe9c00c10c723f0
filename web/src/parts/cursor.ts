import type { CodeViewHandle } from "@pierre/diffs/react";
import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from "react";

import type { Lines, Side } from "./Diff";

/** A row of what is drawn: a line of one side, or one line of each beside the other. */
interface Row {
  path: string;
  same: boolean;
  line: Record<Side, number | null>;
  drawn: Partial<Record<Side, HTMLElement>>;
}

/** The line that the keys have reached, and the one where its choice began. */
interface Cursor {
  path: string;
  side: Side;
  from: number;
  at: number;
  /** What it says to whoever does not see it. */
  words: string;
}

export interface LineCursor {
  cursor: Cursor | null;
  /** The next move begins with a file's first line. */
  begin: (path: string) => void;
  /** One line on, up or down; `more` takes it in with those before. */
  move: (by: 1 | -1, more?: boolean) => void;
  /** To the line beside it, where two sides are shown. */
  across: (to: Side) => void;
  /** To be called with a file's frame when it has been drawn anew. */
  drawn: (frame: HTMLElement) => void;
}

const HEADER = 40;
const CHOSEN = "data-chosen";

/** The rows of a file that are drawn now, from its first. */
function rowsOf(path: string, frame: HTMLElement): Row[] {
  const rows = new Map<string, Row>();
  for (const drawn of frame.shadowRoot?.querySelectorAll<HTMLElement>("[data-line]") ?? []) {
    const kind = drawn.dataset["lineType"] ?? "";
    const column = drawn.closest("[data-code]");
    const one = column?.hasAttribute("data-unified") ?? true;
    const at = (drawn.dataset["lineIndex"] ?? "").split(",")[one ? 0 : 1] ?? "";
    const same = !kind.startsWith("change");
    const row = rows.get(at) ?? { path, same, line: { base: null, head: null }, drawn: {} };
    const side: Side = kind === "change-deletion" || column?.hasAttribute("data-deletions") ? "base" : "head";
    row.line[side] = Number(drawn.dataset["line"]);
    row.drawn[side] = drawn;
    if (one && same && drawn.dataset["altLine"]) {
      row.line.base = Number(drawn.dataset["altLine"]);
      row.drawn.base = drawn;
    }
    rows.set(at, row);
  }
  return [...rows].toSorted(([a], [b]) => Number(a) - Number(b)).map(([, row]) => row);
}

/** All that it holds. */
export const linesOf = ({ path, side, from, at }: Cursor): Lines => ({ path, side, first: Math.min(from, at), line: Math.max(from, at) });

const reached = ({ path, side, at }: Cursor) => (row: Row) => row.path === path && row.line[side] === at;

function wordsOf(row: Row, side: Side, from: number, before: Cursor | null): string {
  const line = row.line[side] ?? 0;
  const kind = row.same ? (side === "base" ? "before the change, " : "") : side === "base" ? "removed " : "added ";
  const place = from === line ? `${kind}line ${line}` : `${kind}lines ${Math.min(from, line)} to ${Math.max(from, line)}`;
  return `${row.path === before?.path ? "" : `${row.path}, `}${place}: ${row.drawn[side]?.textContent?.trim() || "empty"}`;
}

/** A cursor that keys move over the lines of a difference; it knows what is drawn, more is drawn as it comes near. */
export function useLineCursor(view: RefObject<CodeViewHandle<never, undefined> | null>): LineCursor {
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const shown = useRef(cursor);
  const first = useRef<string | null>(null);

  const frames = useCallback(() => view.current?.getInstance()?.getRenderedItems() ?? [], [view]);
  const drawn = useCallback(
    (frame: HTMLElement) => {
      const now = shown.current;
      for (const one of frame.shadowRoot?.querySelectorAll(`[${CHOSEN}]`) ?? []) one.removeAttribute(CHOSEN);
      if (!now || frames().find((one) => one.element === frame)?.id !== now.path) return;
      const { side, first, line: last } = linesOf(now);
      for (const { line, drawn: rows } of rowsOf(now.path, frame)) {
        const row = rows[side];
        const number = line[side];
        if (!row || number === null || number < first || number > last) continue;
        const place = [...(row.parentElement?.children ?? [])].indexOf(row);
        row.setAttribute(CHOSEN, "");
        row.closest("[data-code]")?.querySelector("[data-gutter]")?.children[place]?.setAttribute(CHOSEN, "");
      }
    },
    [frames],
  );
  useLayoutEffect(() => {
    shown.current = cursor;
    for (const { element } of frames()) drawn(element);
  }, [cursor, frames, drawn]);

  const go = useCallback(
    (row: Row, side: Side, began?: number) => {
      const at = row.line[side] ?? 0;
      const from = began ?? at;
      setCursor((before) => ({ path: row.path, side, from, at, words: wordsOf(row, side, from, before) }));
      view.current?.scrollTo({ type: "line", id: row.path, lineNumber: at, side: side === "base" ? "deletions" : "additions", align: "nearest" });
    },
    [view],
  );
  const move = useCallback(
    (by: 1 | -1, more = false) => {
      const rows = frames().flatMap(({ id, element }) => rowsOf(id, element));
      const window = view.current?.getInstance()?.getContainerElement()?.getBoundingClientRect();
      const inSight = (row: Row) => {
        const at = (row.drawn.head ?? row.drawn.base)?.getBoundingClientRect();
        return at !== undefined && window !== undefined && at.top >= window.top + HEADER - 1 && at.bottom <= window.bottom + 1;
      };
      const now = shown.current;
      const here = now ? rows.findIndex(reached(now)) : -1;
      const start = rows[here];
      if (!now || !start) {
        const found = rows.find((row) => row.path === first.current) ?? (by > 0 ? rows.find(inSight) : rows.findLast(inSight));
        first.current = null;
        if (found) go(found, found.line.head === null ? "base" : "head");
        return;
      }
      const onward = by > 0 ? rows.slice(here + 1) : rows.slice(0, here).toReversed();
      const next = more ? onward.find((row) => row.path !== now.path || row.line[now.side] !== null) : onward[0];
      // Nothing more is drawn: it is folded away as far as one can see, or being drawn right now.
      if (!next && inSight(start)) view.current?.getInstance()?.getContainerElement()?.scrollBy({ top: by * 400 });
      else if (!next) return;
      else if (more && next.path === now.path) go(next, now.side, now.from);
      else if (!more) go(next, next.line.head === null || (!next.same && now.side === "base" && next.line.base !== null) ? "base" : "head");
    },
    [view, frames, go],
  );
  const begin = useCallback((path: string) => {
    first.current = path;
    setCursor(null);
  }, []);
  const across = useCallback(
    (to: Side) => {
      const now = shown.current;
      const row = now && frames().flatMap(({ id, element }) => rowsOf(id, element)).find(reached(now));
      if (row && row.line[to] !== null) go(row, to);
    },
    [frames, go],
  );
  return { cursor, begin, move, across, drawn };
}
