import { type UseQueryResult, useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { ErrorBox, Loading } from "../../parts/Says";
import { tell } from "../../parts/Toast";

/** What was asked for, or that it is on its way, or why it did not come. */
export function Asked<Data>({ query, children }: { query: UseQueryResult<Data>; children: (data: Data) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  return query.error ? <ErrorBox error={query.error} again={() => void query.refetch()} /> : <Loading lines={5} />;
}

/** Changes something and lets the list that shows it be asked again. */
export function useListChange<Given, Answer>(list: string, change: (given: Given) => Promise<Answer>, said?: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: () => {
      if (said) tell(said);
      return client.invalidateQueries({ queryKey: [list] });
    },
  });
}

/** A form in a card. */
export function Card({ title, children, onSubmit }: { title: string; children: ReactNode; onSubmit: () => void }) {
  return (
    <form
      aria-label={title}
      className="mt-4 flex flex-wrap items-end gap-2.5 rounded-md bg-raised p-3 shadow-raised"
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      <h3 className="w-full text-sm font-semibold">{title}</h3>
      {children}
    </form>
  );
}
