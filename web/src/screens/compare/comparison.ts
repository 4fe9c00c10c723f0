import { queryOptions } from "@tanstack/react-query";

import { type Schema, api, got } from "../../api/client";

export type Comparison = Schema<"Comparison">;
export type TaskColumns = Schema<"TaskColumns">;
export type Column = Schema<"Column">;

/** The attempts of one task, or of several, side by side. */
export const comparisonQuery = (tasks: string[]) =>
  queryOptions({
    queryKey: ["comparison", ...tasks],
    queryFn: ({ signal }) =>
      tasks.length === 1
        ? got(api.GET("/api/v1/tasks/{task}/comparison", { params: { path: { task: tasks[0] as string } }, signal }))
        : got(api.GET("/api/v1/comparison", { params: { query: { task: tasks } }, signal })),
    enabled: tasks.length > 0,
  });

/** A column of the matrix: an attempt, and those that made the same change. */
export interface Folded {
  task: TaskColumns;
  column: Column;
  same: Column[];
}

/** Attempts that made the same change stand behind the best placed of them, unless all are to be seen. */
export function fold(comparison: Comparison, all: boolean): Folded[] {
  return comparison.tasks.flatMap((task) =>
    task.attempts
      .filter((column) => all || column.same_as === null)
      .map((column) => ({ task, column, same: all ? [] : task.attempts.filter((other) => other.same_as === column.id) })),
  );
}

/** How a person speaks of an attempt. */
export const nameOf = (column: Column) => `Attempt ${column.ordinal}`;

/** The same where another task's attempts stand beside it. */
export function nameIn({ tasks }: Comparison, column: Column): string {
  const title = tasks.length > 1 ? tasks.find((one) => one.task === column.task)?.title : undefined;
  return title ? `${nameOf(column)} of ${title}` : nameOf(column);
}

const BEST = {
  cost: (column: Column) => column.cost,
  seconds: (column: Column) => (column.seconds > 0 ? column.seconds : null),
  lines: (column: Column) => (column.files > 0 ? column.insertions + column.deletions : null),
  turns: (column: Column) => (column.turns > 0 ? column.turns : null),
};

export type Measure = keyof typeof BEST;

/** The least of a measure, where it tells attempts apart; only attempts whose change is ready are compared. */
export function least(folded: Folded[], measure: Measure): number | null {
  const amounts = folded.filter(({ column }) => column.verdict !== null && /^(fixed|proven-new|preserved)$/.test(column.verdict)).map(({ column }) => BEST[measure](column));
  const known = amounts.filter((amount) => amount !== null);
  return known.length > 1 && Math.max(...known) > Math.min(...known) ? Math.min(...known) : null;
}

export const amountOf = (column: Column, measure: Measure) => BEST[measure](column);
