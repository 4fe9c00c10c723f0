import { QueryClient, queryOptions, useQuery } from "@tanstack/react-query";

import { type Schema, api, got, passing } from "./client";

export type Task = Schema<"TaskView">;
export type Attempt = Schema<"AttemptView">;
export type State = Schema<"State">;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => passing(error) && count < 20,
      retryDelay: (count) => Math.min(500 * 2 ** count, 5_000),
      refetchOnWindowFocus: true,
      networkMode: "always", // a server on this machine needs no network
    },
    mutations: { networkMode: "always" },
  },
});

/** Who is signed in. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => got(api.GET("/api/v1/me", { signal })),
  staleTime: 60_000,
});

/** One task with its attempts. */
export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: ["task", id],
    queryFn: ({ signal }) => got(api.GET("/api/v1/tasks/{task}", { params: { path: { task: id } }, signal })),
  });

const FINAL = new Set<State>(["done", "failed", "cancelled"]);

/** Whether nothing follows by itself. */
export const isFinal = (state: State) => FINAL.has(state);

/** What whoever is signed in may do: what they may not is not offered, and the server would refuse it. */
export function useMay(): { write: boolean; admin: boolean } {
  const me = useQuery(meQuery).data;
  return { write: me?.scope === "write" || me?.scope === "admin", admin: me?.scope === "admin" };
}
