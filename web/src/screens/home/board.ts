import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useDeferredValue, useEffect, useMemo } from "react";

import { type Schema, api, got } from "../../api/client";
import { onNews, useNewsState } from "../../api/news";

export type TaskRow = Schema<"TaskRow">;
export type AttemptRow = Schema<"AttemptRow">;
type State = Schema<"State">;

export interface Filter {
  show: "all" | "needs" | "working" | "ended";
  words: string;
  repository: string | undefined;
  engine: string | undefined;
  verdict: string | undefined;
}

const WORKING: State[] = ["queued", "preparing", "running", "waiting", "verifying", "delivering"];
const ENDED: State[] = ["done", "failed", "cancelled"];

// What a row shows changes with these; model calls and tool output come far more often and change nothing there.
const LIVE_KINDS = new Set(["moved", "turn-ended", "model-said", "change-taken", "verified", "question-asked", "person-said", "egress-decided", "conflicts-found", "delivered", "dismissed", "chosen", "pause-requested", "resume-requested", "forked"]);
const ENDED_KINDS = new Set(["delivered", "dismissed", "conflicts-found", "chosen", "verified"]);

function asked(filter: Filter) {
  return {
    words: filter.words || undefined,
    repository: filter.repository ? [filter.repository] : undefined,
    engine: filter.engine ? [filter.engine] : undefined,
    verdict: filter.verdict ? [filter.verdict as Schema<"Verdict">] : undefined,
    needs: filter.show === "needs" ? (["person"] as "person"[]) : undefined,
  };
}

type Page = Schema<"Board">;

const sameAttempt = (a: AttemptRow, b: AttemptRow) =>
  a.state === b.state && a.verdict === b.verdict && a.turns === b.turns && a.seconds === b.seconds && a.started === b.started && a.cost === b.cost && a.insertions === b.insertions && a.deletions === b.deletions && a.files_changed === b.files_changed && a.output_tokens === b.output_tokens && a.reason === b.reason;

const sameRow = (a: TaskRow, b: TaskRow) =>
  a.state === b.state && a.needs === b.needs && a.waiting_for === b.waiting_for && a.reason === b.reason && a.chosen === b.chosen && a.title === b.title && a.pull_request?.head === b.pull_request?.head && a.pull_request?.draft === b.pull_request?.draft && a.attempts.length === b.attempts.length && a.attempts.every((one, place) => { const other = b.attempts[place]; return other !== undefined && one.id === other.id && sameAttempt(one, other); });

// Rows that show the same stay the same objects, so that only what changed is drawn again. Comparing what is shown takes
// a millisecond for 500 rows; comparing everything, as the library does it by itself, takes tens of them.
function keepRows(before: Page | undefined, after: Page): Page {
  if (!before) return after;
  const known = new Map(before.items.map((row) => [row.id, row]));
  const items = after.items.map((row) => {
    const old = known.get(row.id);
    return old && sameRow(old, row) ? old : row;
  });
  const same = items.length === before.items.length && items.every((row, place) => row === before.items[place]);
  return same && before.next === after.next ? before : { ...after, items };
}

export interface Section {
  title: string;
  rows: TaskRow[];
}

/** Each task once: a row's id is its key, and a key that comes twice leaves a row behind on the page. */
const once = (rows: TaskRow[]) => [...new Map(rows.map((row) => [row.id, row])).values()];

/** The tasks that fit, in sections, kept up to date; older ended ones come with `more`. */
export function useBoard(filter: Filter) {
  const query = asked(filter);
  const live = useQuery({
    queryKey: ["board", "live", query],
    queryFn: ({ signal }) => got(api.GET("/api/v1/board", { params: { query: { ...query, state: WORKING, limit: 500 } }, signal })),
    enabled: filter.show !== "ended",
    structuralSharing: (before, after) => keepRows(before as Page | undefined, after as Page),
    placeholderData: (before) => before,
  });
  const ended = useInfiniteQuery({
    queryKey: ["board", "ended", query],
    queryFn: ({ signal, pageParam }) => got(api.GET("/api/v1/board", { params: { query: { ...query, state: ENDED, limit: 100, after: pageParam } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    enabled: filter.show !== "working",
    placeholderData: (before) => before,
  });
  useRefreshing();
  const { refetch: askLive } = live;
  const { refetch: askEnded } = ended;
  const again = useCallback(() => void Promise.all([askLive(), askEnded()]), [askLive, askEnded]);

  // Drawn when there is time for it: scrolling and writing come first.
  const liveRows = useDeferredValue(live.data?.items);
  const sections = useMemo(() => {
    const final = filter.show === "working" ? [] : once(ended.data?.pages.flatMap((page) => page.items) ?? []);
    // A task that has just ended may be in both answers for a moment.
    const over = new Set(final.map((row) => row.id));
    const working = filter.show === "ended" ? [] : once(liveRows ?? []).filter((row) => !over.has(row.id));
    const split = (rows: TaskRow[], needed: boolean) => rows.filter((row) => (row.needs !== null) === needed);
    return [
      { title: "Needs you", rows: [...split(working, true), ...split(final, true)] },
      { title: "Working", rows: split(working, false) },
      { title: "Ended", rows: split(final, false) },
    ].filter((section) => section.rows.length > 0);
  }, [liveRows, ended.data, filter.show]);

  return {
    sections,
    pending: (filter.show !== "ended" && live.isPending) || (filter.show !== "working" && ended.isPending),
    error: live.error ?? ended.error,
    again,
    cut: live.data?.next !== null && live.data !== undefined && filter.show !== "ended",
    more: ended.hasNextPage && !ended.isFetchingNextPage ? () => void ended.fetchNextPage() : null,
  };
}

/** How many tasks there are of each kind, whatever is shown. */
export function useCounts() {
  return useQuery({
    queryKey: ["board", "counts"],
    queryFn: ({ signal }) => got(api.GET("/api/v1/board/counts", { signal })),
    placeholderData: (before) => before,
  });
}

/** Asks again after something happened, as often as the answers are quick: at most an eighth of the time goes to it. */
function useRefreshing() {
  const client = useQueryClient();
  const state = useNewsState();
  useEffect(() => {
    // What happened while nobody listened is in the next answer.
    if (state === "live") void client.invalidateQueries({ queryKey: ["board"] });
  }, [client, state]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let pause = 400;
    const stale = new Set<string>();
    const refresh = async () => {
      const parts = [...stale, "counts"];
      stale.clear();
      const begun = performance.now();
      await Promise.all(parts.map((part) => client.refetchQueries({ queryKey: ["board", part], type: "active" })));
      pause = Math.min(Math.max(400, 8 * (performance.now() - begun)), 10_000);
      timer = undefined;
      if (stale.size > 0) timer = setTimeout(() => void refresh(), pause);
    };
    const stop = onNews((happened) => {
      const final = happened.state !== null && ENDED.includes(happened.state as State);
      if (LIVE_KINDS.has(happened.kind)) stale.add("live");
      if (ENDED_KINDS.has(happened.kind) || final || happened.state === "queued") stale.add("ended");
      if (stale.size > 0) timer ??= setTimeout(() => void refresh(), pause);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [client]);
}

/** What a person is needed for, in words. */
export const NEEDS: Record<string, string> = {
  answer: "asks you something",
  setup: "its setup failed",
  conflict: "conflicts with its base",
  draft: "only a draft: decide",
  host: "was refused a host",
  failed: "ended without a change",
};
