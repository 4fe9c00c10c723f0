import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { Section } from "../../parts/Section";
import { Badge } from "../../parts/State";
import { ago, duration } from "../../parts/words";
import { useRangedLines } from "../task/lines";
import { LogView } from "../task/LogView";
import type { EnvironmentView } from "./environment";

type Run = EnvironmentView["runs"][number];

/** How setup and maintenance went, with the line that failed and the whole log. */
export function Runs({ view }: { view: EnvironmentView }) {
  return (
    <Section title="Setup and maintenance runs" about="Whenever a task found the environment ready, made it ready, or could not.">
      {view.runs.length === 0 ? (
        <p className="rounded-md bg-raised px-3 py-4 text-sm text-text-2 shadow-raised">None yet: the first task runs setup, the next ones build on its layers.</p>
      ) : (
        <ul className="overflow-hidden rounded-md bg-raised shadow-raised">
          {view.runs.map((run) => (
            <RunLine key={`${run.task}-${run.number}`} run={run} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function RunLine({ run }: { run: Run }) {
  const [open, setOpen] = useState(false);
  const more = run.log !== null || run.text !== "" || run.line !== null;
  return (
    <li className="border-b border-line last:border-0">
      <div className="flex items-center gap-2 px-3 py-2">
        <Badge tone={run.ok ? "good" : "bad"}>{run.ok ? (run.reused ? "Was ready" : "Made ready") : "Failed"}</Badge>
        <span className="min-w-0 flex-1 truncate text-xs text-text-2">
          {run.line ? <code className="font-mono text-bad">{run.line}</code> : run.text}
        </span>
        {run.seconds !== null && run.seconds > 0 && <span className="tabular text-xs text-text-3">{duration(run.seconds)}</span>}
        <Link to="/tasks/$task" params={{ task: run.task }} className="text-xs text-accent no-underline hover:underline">
          {run.task}
        </Link>
        <time dateTime={run.at} className="w-20 text-right text-xs text-text-3 max-sm:hidden">
          {ago(run.at)}
        </time>
        <button
          type="button"
          aria-expanded={open}
          aria-label={`${open ? "Hide" : "Show"} the log of ${run.task}`}
          disabled={!more}
          onClick={() => setOpen(!open)}
          className="inline-flex size-7 items-center justify-center rounded text-text-3 hover:bg-hover disabled:invisible max-sm:size-10"
        >
          <Icon name="right" size={12} className={cls("transition-transform", open && "rotate-90")} />
        </button>
      </div>
      {open && <RunLog run={run} />}
    </li>
  );
}

function RunLog({ run }: { run: Run }) {
  const address = `/api/v1/tasks/${encodeURIComponent(run.task)}/outputs/${run.number}`;
  const read = useRangedLines(address, run.log?.size ?? 0);
  return (
    <div className="border-t border-line">
      {run.text && <p className="px-3 py-2 text-sm whitespace-pre-wrap">{run.text}</p>}
      {run.line && (
        <pre className="mx-3 mb-2 overflow-x-auto rounded bg-bad-soft px-2 py-1 font-mono text-xs text-bad">
          <span className="sr-only">The line that failed: </span>
          {run.line}
        </pre>
      )}
      {run.log && <LogView lines={read.lines} label="the setup's log" reading={read.reading} error={read.error} read={read} address={address} heading={(line) => run.line !== null && line.includes(run.line)} className="h-72" />}
    </div>
  );
}
