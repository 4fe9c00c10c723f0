import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";

import { type Schema, api, got } from "../../api/client";
import { tell } from "../../parts/Toast";

export type EnvironmentView = Schema<"EnvironmentView">;
export type Phase = Schema<"Phase">;
export type Internet = Schema<"Internet">;

/** A repository's environment; while something is made ready it is looked at again. */
export const environmentQuery = (key: string) =>
  queryOptions({
    queryKey: ["environment", key],
    queryFn: ({ signal }) => got(api.GET("/api/v1/repositories/{key}/environment", { params: { path: { key } }, signal })),
    refetchInterval: (query) => (query.state.data?.preparing.some((one) => one.state === "running") ? 1000 : false),
  });

/** Changes something of an environment and shows what came of it. */
export function useChange<Given>(key: string, change: (given: Given) => Promise<unknown>, said: (given: Given) => string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: (_, given) => {
      tell(said(given));
      return client.invalidateQueries({ queryKey: environmentQuery(key).queryKey });
    },
  });
}
