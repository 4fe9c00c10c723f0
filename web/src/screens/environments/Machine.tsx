import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type Schema, api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Field, Input } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section } from "../../parts/Section";
import { tell } from "../../parts/Toast";

type Limits = Schema<"LimitsHeld">["limits"];

const GIB = 2 ** 30;
const FIELDS = [
  { name: "memory", label: "Memory, GiB", unit: GIB },
  { name: "processes", label: "Processes", unit: 1 },
  { name: "cpus", label: "Processors", unit: 1 },
  { name: "disk", label: "Disk, GiB", unit: GIB },
  { name: "inodes", label: "Files", unit: 1 },
] as const;

type Limit = (typeof FIELDS)[number];

const limitsQuery = (key: string) =>
  queryOptions({
    queryKey: ["sandbox-limits", key],
    queryFn: ({ signal }) => got(api.GET("/api/v1/repositories/{key}/limits", { params: { path: { key } }, signal })),
  });

const written = (limits: Limits, { name, unit }: Limit) => {
  const amount = limits[name];
  return amount === null || amount === undefined ? "" : String(Number((amount / unit).toFixed(3)));
};

const inUnits = (text: string, { name, unit }: Limit) => (name === "cpus" ? Number(text) : Math.round(Number(text) * unit));

/** What each sandbox may use of the server's machine; an admin decides it. */
export function Machine({ repository, admin }: { repository: string; admin: boolean }) {
  const client = useQueryClient();
  const found = useQuery(limitsQuery(repository));
  const change = useMutation({
    mutationFn: (body: Schema<"LimitsOrder">) => got(api.PATCH("/api/v1/repositories/{key}/limits", { params: { path: { key: repository } }, body })),
    onSuccess: (held) => {
      client.setQueryData(limitsQuery(repository).queryKey, held);
      tell("What starts from now on keeps to these limits");
    },
  });
  if (found.error) return <ErrorBox error={found.error} again={() => void found.refetch()} />;
  if (!found.data) return null;
  const { limits, held } = found.data;
  return (
    <Section
      title="Limits"
      about="What each sandbox may use of the server's machine."
      action={
        admin && (
          <Button size="sm" disabled={change.isPending} onClick={() => change.mutate({ default: true })}>
            Back to the defaults
          </Button>
        )
      }
    >
      <form
        key={JSON.stringify(limits)}
        className="flex flex-wrap items-end gap-3 rounded-md bg-raised px-3 py-3 shadow-raised"
        onSubmit={(event) => {
          event.preventDefault();
          const given = new FormData(event.currentTarget);
          const changes = FIELDS.map((field) => ({ field, text: String(given.get(field.name)).trim() })).filter(({ field, text }) => text !== written(limits, field));
          change.mutate({ default: false, ...Object.fromEntries(changes.map(({ field, text }) => [field.name, text === "" ? null : inUnits(text, field)])) });
        }}
      >
        {FIELDS.map((field) => (
          <Field key={field.name} label={field.label} className="w-28">
            {(given) => (
              <Input {...given} name={field.name} type="number" min={0} step="any" required={field.name !== "cpus"} readOnly={!admin} placeholder={field.name === "cpus" ? "all" : ""} defaultValue={written(limits, field)} />
            )}
          </Field>
        ))}
        {admin && (
          <Button type="submit" busy={change.isPending}>
            Keep
          </Button>
        )}
      </form>
      <p className="mt-2 text-xs text-text-3">Held here: {held}.</p>
      {change.error && <ErrorBox error={change.error} className="mt-2" />}
    </Section>
  );
}
