import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Input } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section } from "../../parts/Section";
import { Badge } from "../../parts/State";
import { tell, tellFailure } from "../../parts/Toast";
import { ago, plural } from "../../parts/words";
import { environmentQuery, type EnvironmentView, useChange } from "./environment";

const ORIGINS: Record<string, string> = { option: "said with a task", file: ".pullwright.toml", detected: "detected", none: "nothing to go by" };

/** What was detected and why, and making it ready before a task asks for it. */
export function Settings({ view, may }: { view: EnvironmentView; may: { write: boolean; admin: boolean } }) {
  const client = useQueryClient();
  const { repository, environment } = view;
  const begin = useMutation({
    mutationFn: (what: "prepare" | "learn") => {
      const body = { repository: repository.location, lock: false };
      return got(what === "prepare" ? api.POST("/api/v1/environments/prepare", { body }) : api.POST("/api/v1/environments/learn", { body }));
    },
    onSuccess: (_, what) => {
      tell(what === "prepare" ? "It is being made ready" : "Its setup runs once with every public host open to it");
      return client.invalidateQueries({ queryKey: environmentQuery(repository.key).queryKey });
    },
    onError: tellFailure,
  });
  const rows = environment ? ([["Setup", environment.setup], ["Maintenance", environment.maintenance], ["Check command", environment.check]] as const) : [];
  return (
    <Section
      title={repository.name}
      about={
        <>
          {repository.location}
          {view.commit && <> · read off {view.commit.slice(0, 10)}</>}
        </>
      }
      action={
        may.write && (
          <>
            {may.admin && (
              <Button size="sm" busy={begin.isPending && begin.variables === "learn"} onClick={() => begin.mutate("learn")} title="Runs setup once with the internet open, and tells which hosts it asked for">
                Learn hosts
              </Button>
            )}
            <Button size="sm" look="primary" busy={begin.isPending && begin.variables === "prepare"} onClick={() => begin.mutate("prepare")}>
              Prepare now
            </Button>
          </>
        )
      }
    >
      {environment ? (
        <dl className="rounded-md bg-raised shadow-raised">
          <Line name="Language" why="">
            <span className="text-sm">{environment.language}</span>
          </Line>
          <Line name="Image" why={environment.image?.why ?? ""}>
            <MadeOf view={view} admin={may.admin} />
          </Line>
          {rows.map(([name, setting]) => (
            <Line key={name} name={name} why={setting?.why ?? ""} origin={setting?.origin}>
              {setting?.command ? <pre className="scroll-quiet overflow-x-auto font-mono text-xs whitespace-pre-wrap">{setting.command}</pre> : <span className="text-sm text-text-3">none</span>}
            </Line>
          ))}
          {Object.keys(environment.variables ?? {}).length > 0 && (
            <Line name="Variables" why="">
              <details>
                <summary className="w-fit text-sm">{plural(Object.keys(environment.variables ?? {}).length, "variable")}</summary>
                <pre className="mt-1 font-mono text-xs whitespace-pre-wrap">
                  {Object.entries(environment.variables ?? {})
                    .map(([name, value]) => `${name}=${value}`)
                    .join("\n")}
                </pre>
              </details>
            </Line>
          )}
        </dl>
      ) : (
        <p className="rounded-md bg-raised px-3 py-4 text-sm text-text-2 shadow-raised">The repository was not fetched yet: prepare it, or hand in a task.</p>
      )}
      {view.preparing.length > 0 && (
        <ul className="mt-3 flex flex-col gap-2">
          {view.preparing.map((one) => (
            <Preparing key={one.id} one={one} repository={repository.key} may={may} />
          ))}
        </ul>
      )}
    </Section>
  );
}

/** What its machines are made of; an admin decides it, whatever the repository says. */
function MadeOf({ view, admin }: { view: EnvironmentView; admin: boolean }) {
  const key = view.repository.key;
  const [image, setImage] = useState(view.image ?? "");
  const change = useChange(
    key,
    (to: string | null) => got(api.PUT("/api/v1/repositories/{key}/image", { params: { path: { key } }, body: { image: to } })),
    (to) => (to === null ? "The repository says what its machines are made of" : "From the next task on its machines are made of that"),
  );
  const found = view.environment?.image;
  return (
    <>
      {found ? <code className="font-mono text-xs break-all">{found.reference}</code> : <span className="text-sm text-text-3">the server's own tools</span>}
      {admin && (
        <form
          className="mt-1 flex flex-wrap gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate(image.trim());
          }}
        >
          <Input aria-label="Image" placeholder="docker://debian:12, or host for the server's own tools" value={image} onChange={(event) => setImage(event.target.value)} className="w-72 min-w-0 flex-1 font-mono text-xs" />
          <Button type="submit" busy={change.isPending} disabled={image.trim() === "" || image.trim() === view.image} className="max-sm:h-10">
            Use
          </Button>
          {view.image !== null && (
            <Button disabled={change.isPending} onClick={() => change.mutate(null, { onSuccess: () => setImage("") })} className="max-sm:h-10">
              As the repository says
            </Button>
          )}
        </form>
      )}
      {change.error && <ErrorBox error={change.error} className="mt-2" />}
    </>
  );
}

function Line({ name, why, origin, children }: { name: string; why: string; origin?: string | undefined; children: React.ReactNode }) {
  return (
    <div className="grid gap-x-4 gap-y-1 border-b border-line px-3 py-2.5 last:border-0 sm:grid-cols-[8rem_minmax(0,1fr)_auto]">
      <dt className="text-sm text-text-3">{name}</dt>
      <dd className="min-w-0">
        {children}
        {why && <p className="mt-0.5 text-xs text-text-3">{why}</p>}
      </dd>
      {origin && origin !== "none" && (
        <dd>
          <Badge>{ORIGINS[origin] ?? origin}</Badge>
        </dd>
      )}
    </div>
  );
}

/** A preparation without a task: how far it is, or what it came to. */
function Preparing({ one, repository, may }: { one: EnvironmentView["preparing"][number]; repository: string; may: { write: boolean; admin: boolean } }) {
  const client = useQueryClient();
  const again = () => client.invalidateQueries({ queryKey: environmentQuery(repository).queryKey });
  const stop = useMutation({ mutationFn: () => got(api.DELETE("/api/v1/environments/preparations/{preparation}", { params: { path: { preparation: one.id } } })), onSuccess: again, onError: tellFailure });
  const allow = useMutation({
    mutationFn: () => got(api.POST("/api/v1/repositories/{key}/allow", { params: { path: { key: repository } }, body: { rules: [...one.presets, ...one.rules], phase: "setup" } })),
    onSuccess: () => {
      tell("Setup may reach these hosts");
      return again();
    },
    onError: tellFailure,
  });
  const running = one.state === "running";
  const learned = [...one.presets, ...one.rules];
  return (
    <li className="rounded-md bg-raised px-3 py-2.5 shadow-raised">
      <div className="flex items-center gap-2">
        <Badge tone={running ? "busy" : one.state === "done" ? "good" : one.state === "failed" ? "bad" : "plain"}>{one.purpose === "learn" ? "Learning" : "Preparing"}: {one.state}</Badge>
        <span className="min-w-0 flex-1 truncate text-xs text-text-2">{one.text}</span>
        <span className="text-xs text-text-3">{ago(one.ended ?? one.started)}</span>
        {running && may.write && (
          <Button size="sm" look="danger" busy={stop.isPending} onClick={() => stop.mutate()}>
            Stop
          </Button>
        )}
      </div>
      {one.line && <pre className="mt-2 overflow-x-auto rounded bg-bad-soft px-2 py-1 font-mono text-xs text-bad">{one.line}</pre>}
      {one.warnings.map((warning) => (
        <p key={warning} className="mt-1 text-xs text-warn">
          {warning}
        </p>
      ))}
      {learned.length > 0 && (
        <div className="mt-2 flex flex-wrap items-center gap-2 text-xs text-text-2">
          <span>It asked for</span>
          {learned.map((rule) => (
            <code key={rule} className="rounded-sm bg-hover px-1.5 py-0.5 font-mono">
              {rule}
            </code>
          ))}
          {may.admin && (
            <Button size="sm" busy={allow.isPending} onClick={() => allow.mutate()}>
              Let setup reach these alone
            </Button>
          )}
        </div>
      )}
    </li>
  );
}
