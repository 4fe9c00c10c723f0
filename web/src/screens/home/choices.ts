import { queryOptions, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { type Schema, api, got } from "../../api/client";

export const repositoriesQuery = queryOptions({
  queryKey: ["repositories"],
  queryFn: ({ signal }) => got(api.GET("/api/v1/repositories", { signal })),
  staleTime: 30_000,
});

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: ({ signal }) => got(api.GET("/api/v1/models", { signal })),
  staleTime: 60_000,
});

export const enginesQuery = queryOptions({
  queryKey: ["engines"],
  queryFn: ({ signal }) => got(api.GET("/api/v1/engines", { signal })),
  staleTime: 60_000,
});

/** What it came to once nobody has changed it for a while. */
export function useSettled<Value>(value: Value, milliseconds: number): Value {
  const [settled, setSettled] = useState(value);
  const key = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [key, milliseconds]); // eslint-disable-line react-hooks/exhaustive-deps -- `key` stands for the value
  return settled;
}

/** Whether it can be a repository at all: nothing is asked before. */
export const isRepository = (location: string) => /^(\/.|[\w.+-]+@?[\w.-]*:(\/\/)?.)/.test(location);

/** The branches of a repository, known or not: an unknown one is fetched for that. */
export function useBranches(location: string) {
  const known = useQuery(repositoriesQuery).data?.items.find((one) => one.location === location);
  return useQuery({
    queryKey: ["branches", location],
    queryFn: ({ signal }) =>
      known
        ? got(api.GET("/api/v1/repositories/{key}/branches", { params: { path: { key: known.key } }, signal }))
        : got(api.POST("/api/v1/repositories/branches", { body: { repository: location }, signal })),
    enabled: isRepository(location),
    staleTime: 60_000,
    retry: false,
  });
}

/** How a repository would become a machine: it is fetched and looked through, so that the task itself begins sooner. */
export function useSurvey(location: string, base: string) {
  return useQuery({
    queryKey: ["survey", location, base],
    queryFn: ({ signal }) => got(api.POST("/api/v1/environments/survey", { body: { repository: location, base: base || null }, signal })),
    enabled: isRepository(location),
    staleTime: 60_000,
    retry: false,
  });
}

const asked = new Set<string>();

/**
 * While a task is being written its environment is made ready, so that the task finds it. Once for each repository and
 * branch as long as the page is there; whatever goes wrong is told by the task itself.
 */
export function useReadyAhead(location: string, base: string, writing: boolean) {
  useEffect(() => {
    const name = `${location} ${base}`;
    if (!writing || !isRepository(location) || asked.has(name)) return;
    asked.add(name);
    void api.POST("/api/v1/environments/prepare", { body: { repository: location, base: base || null, lock: false } }).catch(() => undefined);
  }, [location, base, writing]);
}

/** What the order is going to take. */
export function useEstimate(order: Schema<"TaskOrder"> | null) {
  return useQuery({
    queryKey: ["estimate", order],
    queryFn: ({ signal }) => {
      if (order === null) throw new Error("there is no order to estimate");
      return got(api.POST("/api/v1/tasks/estimate", { body: order, signal }));
    },
    enabled: order !== null,
    staleTime: 30_000,
    retry: false,
    placeholderData: (before) => before,
  });
}
