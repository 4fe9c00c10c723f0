import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";

import { type Schema, api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { cls } from "../../parts/class";
import { controlClass, Field, Input, Select } from "../../parts/Field";
import { Icon } from "../../parts/Icon";
import { Keys } from "../../parts/Keys";
import { ErrorBox } from "../../parts/Says";
import { tell } from "../../parts/Toast";
import { duration, money, plural } from "../../parts/words";
import { isRepository, repositoriesQuery, useBranches, useEstimate, useReadyAhead, useSettled, useSurvey } from "./choices";
import { type Draft, NOTHING, forget, keep, kept, orderOf } from "./draft";
import { Makers } from "./Makers";

const MEANT = 12; // letters after which somebody means to hand something in

/** Where a task is handed in: closed it is one line, open it has all that can be said beforehand. */
export function Composer({ opened }: { opened: boolean }) {
  const [draft, setDraft] = useState<Draft>(kept);
  const [open, setOpen] = useState(opened || draft.prompt !== "");
  const navigate = useNavigate();
  const client = useQueryClient();
  const words = useRef<HTMLTextAreaElement>(null);
  const change = (part: Partial<Draft>) => {
    setDraft((before) => {
      const next = { ...before, ...part };
      keep(next);
      return next;
    });
  };

  useEffect(() => {
    if (!opened) return;
    setOpen(true);
    words.current?.focus();
    words.current?.scrollIntoView({ block: "nearest" });
    void navigate({ to: "/", search: (before) => ({ ...before, compose: undefined }), replace: true });
  }, [opened, navigate]);

  const submit = useMutation({
    mutationFn: ({ order, key }: { order: Schema<"TaskOrder">; key: string }) => got(api.POST("/api/v1/tasks", { body: order, params: { header: { "Idempotency-Key": key } } })),
    onSuccess: (task) => {
      change({ prompt: "", key: NOTHING().key });
      forget();
      tell("Handed in", undefined, { label: "Open the task", act: () => void navigate({ to: "/tasks/$task", params: { task: task.id } }) });
      void client.invalidateQueries({ queryKey: ["board"] });
      void client.invalidateQueries({ queryKey: repositoriesQuery.queryKey });
    },
    // Another try is another order, unless nobody knows what came of the first.
    onError: (error) => "status" in error && error.status !== 0 && change({ key: NOTHING().key }),
  });
  const ready = draft.prompt.trim() !== "" && isRepository(draft.repository);
  const send = () => ready && !submit.isPending && submit.mutate({ order: orderOf(draft), key: draft.key });

  return (
    <section aria-label="New task" className="px-4 pt-4 pb-3 max-sm:px-3">
      <form
        className={cls("rounded-lg bg-raised shadow-raised transition-shadow", open && "shadow-over")}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
            event.preventDefault();
            send();
          } else if (event.key === "Escape") {
            (event.target as HTMLElement).blur();
            if (draft.prompt === "") setOpen(false);
          }
        }}
      >
        <textarea
          ref={words}
          aria-label={draft.ask ? "The question" : "What is to be done"}
          placeholder={draft.ask ? "What do you want to know about the repository?" : "What is to be done?"}
          rows={1}
          value={draft.prompt}
          onFocus={() => setOpen(true)}
          onChange={(event) => change({ prompt: event.target.value })}
          className={cls("field-sizing-content block max-h-[40vh] w-full resize-none rounded-t-lg bg-transparent px-4 py-3 text-base outline-none placeholder:text-text-3 focus-visible:outline-none", open ? "min-h-20" : "min-h-11")}
        />
        {open && <Details draft={draft} change={change} />}
        {submit.error && <ErrorBox error={submit.error} className="mx-4 mb-3" />}
        {open && (
          <footer className="flex flex-wrap items-center gap-x-3 gap-y-2 border-t border-line px-4 py-2.5">
            <Forecast draft={draft} />
            <div className="flex-1" />
            {draft.prompt === "" && (
              <Button look="quiet" size="sm" onClick={() => setOpen(false)}>
                Close
              </Button>
            )}
            <Button type="submit" look="primary" disabled={!ready} busy={submit.isPending} className="max-sm:flex-1">
              {draft.ask ? "Ask" : "Hand in"} <Keys keys="mod+enter" inverted />
            </Button>
          </footer>
        )}
      </form>
    </section>
  );
}

function Details({ draft, change }: { draft: Draft; change: (part: Partial<Draft>) => void }) {
  const repositories = useQuery(repositoriesQuery).data;
  const settled = useSettled(draft.repository, 500);
  const branches = useBranches(settled);
  const known = repositories?.items ?? [];
  const wrong = branches.error ?? null;

  // The last used repository is the likely one.
  const first = known[0]?.location;
  useEffect(() => {
    if (draft.repository === "" && first) change({ repository: first });
  }, [first]); // eslint-disable-line react-hooks/exhaustive-deps -- once, when the list is there

  return (
    <div className="flex flex-col gap-3 px-4 pb-3">
      <div className="grid gap-3 sm:grid-cols-[minmax(0,2fr)_minmax(0,1fr)_auto]">
        <Field label="Repository" error={wrong?.message} hint={branches.isFetching ? "Fetching it …" : undefined}>
          {(given) => (
            <>
              <Input {...given} list="composer-repositories" placeholder="/path/on/the/server or https://…" value={draft.repository} onChange={(event) => change({ repository: event.target.value.trim(), base: "" })} />
              <datalist id="composer-repositories">
                {known.map((one) => (
                  <option key={one.key} value={one.location}>
                    {one.name}
                  </option>
                ))}
              </datalist>
            </>
          )}
        </Field>
        <Field label="Branch">
          {(given) => (
            <>
              <Input {...given} list="composer-branches" placeholder={branches.data?.head ?? "the repository's own"} value={draft.base} onChange={(event) => change({ base: event.target.value.trim() })} />
              <datalist id="composer-branches">
                {(branches.data?.items ?? []).map((one) => (
                  <option key={one.name} value={one.name} label={one.name} aria-label={one.name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <Field label="Wanted">
          {(given) => (
            <Select {...given} value={draft.ask ? "ask" : "code"} onChange={(event) => change({ ask: event.target.value === "ask" })}>
              <option value="code">A change</option>
              <option value="ask">An answer</option>
            </Select>
          )}
        </Field>
      </div>
      <Makers draft={draft} change={change} />
      <Surroundings draft={draft} change={change} />
    </div>
  );
}

/** The environment that the task will have, as it was detected; what is not right can be said here. */
function Surroundings({ draft, change }: { draft: Draft; change: (part: Partial<Draft>) => void }) {
  const repository = useSettled(draft.repository, 500);
  const base = useSettled(draft.base, 500);
  const survey = useSurvey(repository, base);
  useReadyAhead(repository, base, survey.data !== undefined && draft.prompt.trim().length >= MEANT && draft.setup === "" && draft.image === "");
  const environment = survey.data?.environment;
  return (
    <details className="group rounded border border-line">
      <summary className="flex min-h-8 list-none items-center gap-2 px-2.5 py-1 text-xs text-text-2 hover:bg-hover">
        <Icon name="right" size={12} className="transition-transform group-open:rotate-90" />
        <span className="font-medium">Environment and limits</span>
        <span className="min-w-0 flex-1 truncate text-text-3">
          {survey.isFetching && "Looking through the repository …"}
          {!survey.isFetching && survey.error && <span className="text-bad">{survey.error.message}</span>}
          {!survey.isFetching && environment && (
            <>
              {environment.language !== "unknown" && `${environment.language} · `}
              {environment.check.command ? <>checked by <code className="font-mono">{environment.check.command}</code></> : "no check command: nothing can be proven"}
            </>
          )}
        </span>
      </summary>
      <div className="grid gap-3 border-t border-line p-2.5 sm:grid-cols-2">
        {(["setup", "check"] as const).map((which) => (
          <Field key={which} label={which === "setup" ? "Setup" : "Check command"} hint={environment?.[which].why || undefined}>
            {(given) => (
              <textarea
                {...given}
                rows={1}
                spellCheck={false}
                placeholder={environment?.[which].command ?? "none"}
                value={draft[which]}
                onChange={(event) => change({ [which]: event.target.value })}
                className={cls(controlClass, "w-full field-sizing-content max-h-40 min-h-8 py-1.5 font-mono text-xs")}
              />
            )}
          </Field>
        ))}
        <Field label="Image" hint={environment?.image?.why || undefined}>
          {(given) => <Input {...given} placeholder={environment?.image?.reference ?? "the server's own tools"} value={draft.image} onChange={(event) => change({ image: event.target.value })} className="font-mono text-xs" />}
        </Field>
        <Field label="Hosts it may reach besides" hint="With spaces between them; else the environment's policy holds.">
          {(given) => <Input {...given} placeholder="registry.example.com" value={draft.allow} onChange={(event) => change({ allow: event.target.value })} />}
        </Field>
        <div className="grid grid-cols-2 gap-3">
          <Field label="At most, minutes">{(given) => <Input {...given} inputMode="decimal" placeholder="60" value={draft.minutes} onChange={(event) => change({ minutes: event.target.value })} />}</Field>
          <Field label="At most, US dollars" hint="For each attempt.">
            {(given) => <Input {...given} inputMode="decimal" placeholder="no cap" value={draft.cost} onChange={(event) => change({ cost: event.target.value })} />}
          </Field>
        </div>
      </div>
    </details>
  );
}

const BASIS: Record<string, string> = {
  repository: "of this repository and model",
  model: "of this model elsewhere",
  all: "of any kind",
  none: "",
};

/** What it is going to take, by past tasks, and the cap that holds. */
function Forecast({ draft }: { draft: Draft }) {
  const order = useMemo(() => (isRepository(draft.repository) ? { ...orderOf(draft), prompt: "?" } : null), [draft]);
  const { data, error } = useEstimate(useSettled(order, 500));
  if (order === null) return <span className="text-xs text-text-3">Name a repository: a path on the server, or a URL.</span>;
  if (error) return <span className="max-w-prose text-xs text-bad">{error.message}</span>;
  if (!data) return <span className="text-xs text-text-3">Estimating …</span>;
  const cap = [`${duration(data.max_seconds)} each`, data.max_cost === null ? null : `${money(data.max_cost)} together`].filter(Boolean).join(", ");
  return (
    <span className="tabular flex flex-wrap gap-x-3 text-xs text-text-2" aria-live="polite">
      {data.seconds ? (
        <span title={`By ${plural(data.based_on, "past attempt")} ${BASIS[data.basis] ?? ""}`}>
          <span className="font-medium text-text">{range(data.seconds, duration)}</span>
          {data.cost && data.cost.high > 0 && <span className="font-medium text-text"> · {range(data.cost, money)}</span>}
          <span className="text-text-3">
            {" "}
            by {plural(data.based_on, "attempt")} {BASIS[data.basis]}
          </span>
        </span>
      ) : (
        <span className="text-text-3">No estimate yet: too few tasks have ended.</span>
      )}
      <span className="text-text-3">stops at {cap}</span>
    </span>
  );
}

function range(given: { low: number; high: number }, words: (value: number) => string): string {
  const low = words(given.low);
  const high = words(given.high);
  return low === high ? `about ${high}` : `${low} – ${high}`;
}
