import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect } from "react";

import { type Schema, api, got, text } from "../../api/client";
import { onNews } from "../../api/news";
import { type Attempt, type Task, isFinal } from "../../api/queries";
import { type DiffFile, type Side, filesOf } from "../../parts/Diff";

export type Proof = Schema<"Proof">;
export type TestRow = Schema<"TestRow">;

/** What is looked at: an attempt's work, from its base or from another attempt's. */
export interface Span {
  attempt: string;
  against?: string | undefined;
}

const address = ({ attempt }: Span, what: string) => `/api/v1/attempts/${encodeURIComponent(attempt)}${what}`;
const asked = (span: Span, more: Record<string, string> = {}) => {
  const query = new URLSearchParams({ ...more, ...(span.against ? { against: span.against } : {}) }).toString();
  return query ? `?${query}` : "";
};

/** Where the patch itself is, for those who want it as a file. */
export const patchAddress = (span: Span) => address(span, ".patch") + asked(span);

/** The change, file by file; `head` is what it is at, so that another state is another question. */
export const changeQuery = (span: Span, head: string | null) =>
  queryOptions({
    queryKey: ["change", span.attempt, span.against ?? "", head],
    queryFn: async ({ signal }): Promise<DiffFile[]> => {
      const [patch, files] = await Promise.all([
        text(patchAddress(span), signal),
        got(api.GET("/api/v1/attempts/{attempt}/changes", { params: { path: { attempt: span.attempt }, query: { against: span.against } }, signal })),
      ]);
      return whole(filesOf(patch), files.files);
    },
    staleTime: Infinity,
  });

/** Files that a patch has no lines of (pictures, programs, modes) are among them all the same. */
function whole(parsed: DiffFile[], listed: Schema<"FileChange">[]): DiffFile[] {
  const known = new Map(parsed.map((file) => [file.path, file]));
  return listed.map(
    ({ path, status }): DiffFile =>
      known.get(path) ?? {
        path,
        print: `${status} ${path}`,
        insertions: 0,
        deletions: 0,
        lines: 0,
        parsed: {
          name: path,
          type: status === "A" ? "new" : status === "D" ? "deleted" : "change",
          hunks: [],
          splitLineCount: 0,
          unifiedLineCount: 0,
          isPartial: true,
          deletionLines: [],
          additionLines: [],
          deletionCharacterCount: 0,
          additionCharacterCount: 0,
        },
      },
  );
}

/** Reads a whole file of one side. */
export function useFileReader({ attempt, against }: Span) {
  return useCallback(
    (path: string, side: Side) => text(address({ attempt }, "/file") + asked({ attempt, against }, { path, side })),
    [attempt, against],
  );
}

/** The receipt, test by test. */
export const proofQuery = (attempt: string, verified: boolean) =>
  queryOptions({
    queryKey: ["proof", attempt],
    queryFn: ({ signal }) => got(api.GET("/api/v1/attempts/{attempt}/receipt", { params: { path: { attempt }, query: { limit: 10_000 } }, signal })),
    enabled: verified,
  });

/** Asks again for a task and what belongs to it when something happened to it. */
export function useFresh(tasks: string[]) {
  const client = useQueryClient();
  const all = tasks.join(" ");
  useEffect(() => {
    const names = new Set(all.split(" "));
    return onNews((happened) => {
      if (!names.has(happened.task)) return;
      void client.invalidateQueries({ queryKey: ["task", happened.task] });
      void client.invalidateQueries({ queryKey: ["comparison"] });
      if (happened.kind === "verified" || happened.kind === "moved") void client.invalidateQueries({ queryKey: ["proof", happened.log] });
    });
  }, [client, all]);
}

/** The attempts of a task that have something to look at. */
export const withChange = (task: Task) => task.attempts.filter((attempt) => attempt.files_changed > 0);

/** An attempt's place in its task, counted from 1. */
export const ordinalOf = (task: Task, attempt: Attempt) => task.attempts.findIndex((one) => one.id === attempt.id) + 1;

/** The attempt that a reviewer wants to see: the one that was asked for, else the one to be delivered, else the first. */
export function attemptOf(task: Task, ordinal: number | undefined): Attempt | undefined {
  return task.attempts[(ordinal ?? 0) - 1] ?? task.attempts.find((one) => one.id === task.chosen) ?? withChange(task)[0] ?? task.attempts[0];
}

/** How the pull request stands to what is looked at. */
export function delivery(task: Task, attempt: Attempt): { state: "none" | "older" | "same" | "other"; may: boolean } {
  const pull = task.pull_request;
  const chosen = task.chosen === attempt.id;
  const state = !pull ? "none" : !chosen ? "other" : pull.head === attempt.head ? "same" : "older";
  return { state, may: isFinal(task.state) && attempt.head !== null && attempt.receipt !== null };
}
