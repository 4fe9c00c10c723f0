import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";

import { type Schema, api, got } from "../../api/client";
import { onNews, useNewsState } from "../../api/news";
import { isFinal, type State, taskQuery } from "../../api/queries";
import { listen } from "../../api/stream";

export type Timeline = Schema<"Timeline">;
export type Turn = Schema<"TurnView">;
export type Call = Schema<"CallView">;
export type Recorded = Schema<"Recorded">;

export const turnsQuery = (attempt: string) =>
  queryOptions({
    queryKey: ["turns", attempt],
    queryFn: ({ signal }) => got(api.GET("/api/v1/attempts/{attempt}/turns", { params: { path: { attempt } }, signal })),
  });

/** What happened to the task itself: environment, comparison, delivery. */
export const taskLogQuery = (task: string) =>
  queryOptions({
    queryKey: ["task-log", task],
    queryFn: ({ signal }) => got(api.GET("/api/v1/tasks/{task}/log", { params: { path: { task }, query: { limit: 1000 } }, signal })),
  });

/**
 * Keeps a task and what is open of it up to date: asks again after something happened, at most an eighth of the time,
 * and once more whenever the stream is back, so that nothing that came in between is missed.
 */
export function useTaskNews(task: string, attempt: string | undefined) {
  const client = useQueryClient();
  const state = useNewsState();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let pause = 150;
    const stale = new Set<string>();
    const keys = { task: taskQuery(task).queryKey, log: taskLogQuery(task).queryKey, turns: turnsQuery(attempt ?? "").queryKey };
    const refresh = async () => {
      const parts = [...stale];
      stale.clear();
      const begun = performance.now();
      await Promise.all(parts.map((part) => client.refetchQueries({ queryKey: keys[part as keyof typeof keys], exact: true, type: "active" })));
      pause = Math.min(Math.max(150, 8 * (performance.now() - begun)), 10_000);
      timer = undefined;
      if (stale.size > 0) timer = setTimeout(() => void refresh(), pause);
    };
    const mark = (...parts: string[]) => {
      for (const part of parts) stale.add(part);
      timer ??= setTimeout(() => void refresh(), pause);
    };
    if (state === "live") mark("task", "log", "turns");
    const stop = onNews((happened) => {
      if (happened.task !== task) return;
      if (happened.log === attempt) mark("turns");
      if (happened.log === task) mark("log");
      mark("task");
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [client, task, attempt, state]);
}

/** What an attempt says and prints right now; the log has it once it is whole. */
export interface Saying {
  text: string;
  reasoning: string;
  outputs: ReadonlyMap<string, string>;
}

const SILENT: Saying = { text: "", reasoning: "", outputs: new Map() };
const MOST = 400_000; // characters of one output that are kept while it runs

interface Piece {
  kind: "text" | "reasoning" | "output";
  text: string;
  call: string | null;
}

function watchVisibility(changed: () => void): () => void {
  document.addEventListener("visibilitychange", changed);
  return () => document.removeEventListener("visibilitychange", changed);
}

/** Listen to one attempt as long as the page is seen and the attempt works; `told`: what happened before is known. */
export function useSaying(attempt: string | undefined, state: State | undefined, told: boolean): Saying {
  const [saying, setSaying] = useState<Saying>(SILENT);
  const seen = useSyncExternalStore(watchVisibility, () => document.visibilityState === "visible");
  const works = attempt !== undefined && state !== undefined && !isFinal(state) && state !== "waiting" && told;
  const client = useQueryClient();
  useEffect(() => {
    setSaying(SILENT);
    if (!works || !seen) return undefined;
    let text = "";
    let reasoning = "";
    const outputs = new Map<string, string>();
    let frame = 0;
    const show = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setSaying({ text, reasoning, outputs: new Map(outputs) });
      });
    };
    const known = client.getQueryData(turnsQuery(attempt).queryKey)?.last ?? 0;
    const stop = listen(`/api/v1/attempts/${encodeURIComponent(attempt)}/events`, {
      after: known,
      events: {
        piece: (data) => {
          const piece = data as Piece;
          if (piece.kind === "text") text += piece.text;
          else if (piece.kind === "reasoning") reasoning += piece.text;
          else if (piece.call !== null) outputs.set(piece.call, ((outputs.get(piece.call) ?? "") + piece.text).slice(-MOST));
          show();
        },
        recorded: (data) => {
          const { event } = data as { event: { kind: string } };
          if (event.kind !== "model-asked") return;
          text = "";
          reasoning = "";
          outputs.clear();
          show();
        },
      },
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [attempt, works, seen, client]);
  return saying;
}

/** Since when the attempt works now; null where it rests. */
export function workingSince(timeline: Timeline | undefined): string | null {
  let since: string | null = null;
  for (const { event, at } of timeline?.notes ?? []) {
    if (event.kind !== "moved") continue;
    if (/^(queued|waiting|done|failed|cancelled)$/.test(event.state)) since = null;
    else since ??= at;
  }
  return since;
}

/** The task and the attempt that is looked at. */
export function useTask(id: string, ordinal: number | undefined) {
  const task = useQuery(taskQuery(id));
  const attempts = task.data?.attempts ?? [];
  const chosen = ordinal === undefined ? attempts.findIndex((one) => one.id === task.data?.chosen) : ordinal - 1;
  const place = Math.min(Math.max(chosen, 0), Math.max(attempts.length - 1, 0));
  return { task, attempt: attempts[place], ordinal: place + 1 };
}
