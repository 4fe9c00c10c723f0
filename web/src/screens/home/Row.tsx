import { Link } from "@tanstack/react-router";
import { memo } from "react";

import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { Badge, Diffstat, State, Verdict } from "../../parts/State";
import { age, duration, money } from "../../parts/words";
import { type AttemptRow, NEEDS, type TaskRow } from "./board";

export const ROW_HEIGHT = { wide: 54, narrow: 82 };

interface RowProps {
  row: TaskRow;
  now: number;
  chosen: boolean;
  picked: boolean;
  onPick: (id: string) => void;
  /** A person has seen to it; null where whoever looks may not say so. */
  onDismiss: ((id: string) => void) | null;
}

/** The attempt that stands for the task: the one whose change is delivered, else the furthest. */
function leading(row: TaskRow): AttemptRow | undefined {
  return row.attempts.find((one) => one.id === row.chosen) ?? row.attempts.toSorted((a, b) => b.turns - a.turns)[0];
}

/** Costs whose price is known, added up. */
function costOf(row: TaskRow): number | null {
  const known = row.attempts.flatMap((one) => (one.cost === null ? [] : [one.cost]));
  return known.length === 0 ? null : known.reduce((sum, one) => sum + one, 0);
}

function workedSeconds(row: TaskRow, now: number): number {
  const each = row.attempts.map((one) => one.seconds + (one.started ? Math.max(0, (now - Date.parse(one.started)) / 1000) : 0));
  return Math.max(0, ...each);
}

/** One task at a glance. */
export const Row = memo(function Row({ row, now, chosen, picked, onPick, onDismiss }: RowProps) {
  const best = leading(row);
  const said = row.needs ? NEEDS[row.needs] : null;
  const waits = row.needs === "answer" ? (row.waiting_for ?? "").replace(/^an answer: /, "") : (row.waiting_for ?? row.reason);
  const worked = workedSeconds(row, now);
  const verdict = best?.verdict;
  const cost = costOf(row);
  return (
    <div className={cls("group relative flex h-full items-center gap-3 border-b border-line px-4 max-sm:px-3", chosen ? "bg-selected" : "hover:bg-hover")}>
      {chosen && <span aria-hidden="true" className="absolute inset-y-0 left-0 w-0.5 bg-accent" />}
      <button
        type="button"
        role="checkbox"
        aria-checked={picked}
        aria-label={`Pick to compare: ${row.title}`}
        tabIndex={-1}
        onClick={() => onPick(row.id)}
        className={cls(
          "relative z-10 inline-flex size-4 shrink-0 items-center justify-center rounded-sm border max-sm:hidden",
          picked ? "border-accent bg-accent text-on-accent" : "border-control bg-raised opacity-0 group-hover:opacity-100 focus-visible:opacity-100",
        )}
      >
        {picked && <Icon name="check" size={12} />}
      </button>
      <span className="w-24 shrink-0 max-lg:w-4 max-lg:overflow-hidden max-sm:hidden">
        <State state={row.state} />
      </span>
      <span className="min-w-0 flex-1">
        <span className="flex min-w-0 items-center gap-2">
          <span className="sm:hidden">
            <State state={row.state} compact />
          </span>
          <Link to="/tasks/$task" params={{ task: row.id }} className="truncate font-medium text-text no-underline after:absolute after:inset-0" data-row={row.id}>
            {row.title}
          </Link>
          {row.mode === "ask" && <Badge>Question</Badge>}
        </span>
        <span className="flex min-w-0 items-center gap-1.5 text-xs text-text-3 max-sm:mt-0.5">
          <span className="shrink-0 truncate max-sm:max-w-[45%]">{row.repository_name}</span>
          {row.by && <span className="shrink-0 max-sm:hidden">· {row.by}</span>}
          {said && <span className="shrink-0 font-medium text-warn">· {said}</span>}
          {waits && <span className="truncate">· {waits}</span>}
          {row.needs && row.needs !== "answer" && onDismiss && (
            <button type="button" aria-label={`Seen to: ${row.title}`} onClick={() => onDismiss(row.id)} className="relative z-10 -my-1 ml-1 inline-flex h-6 shrink-0 items-center rounded px-1 font-medium text-text-2 hover:bg-pressed hover:text-text">
              Seen to
            </button>
          )}
        </span>
        <span className="mt-1 flex items-center gap-3 sm:hidden">
          {verdict && <Verdict verdict={verdict} />}
          {best && best.files_changed > 0 && <Diffstat insertions={best.insertions} deletions={best.deletions} />}
          {row.attempts.length > 1 && <span className="tabular text-xs text-text-2">×{row.attempts.length}</span>}
          {cost !== null && <span className="tabular text-xs text-text-2">{money(cost)}</span>}
          <time dateTime={row.created} className="ml-auto text-xs text-text-3">
            {age(row.created, now)}
          </time>
        </span>
      </span>
      <span className="w-32 shrink-0 text-right max-md:w-auto max-sm:hidden">
        {row.attempts.length > 1 ? <Attempts attempts={row.attempts} chosen={row.chosen} /> : verdict ? <Verdict verdict={verdict} /> : <ModelName attempt={best} />}
      </span>
      <span className="w-24 shrink-0 text-right max-md:hidden">{best && best.files_changed > 0 && <Diffstat insertions={best.insertions} deletions={best.deletions} />}</span>
      <span className="tabular w-14 shrink-0 text-right text-xs text-text-2 max-lg:hidden" title="Cost of all attempts">
        {cost === null ? "" : money(cost)}
      </span>
      <span className="tabular w-20 shrink-0 text-right text-xs text-text-2 max-xl:hidden" title="Time worked">
        {worked >= 1 ? duration(worked) : ""}
      </span>
      <span className="relative z-10 w-14 shrink-0 text-right max-sm:hidden">
        {row.pull_request && (
          <PullRequest row={row} />
        )}
      </span>
      <time dateTime={row.created} title={new Date(row.created).toLocaleString()} className="w-9 shrink-0 text-right text-xs text-text-3 max-sm:hidden">
        {age(row.created, now)}
      </time>
    </div>
  );
});

function PullRequest({ row }: { row: TaskRow }) {
  const pull = row.pull_request;
  if (!pull) return null;
  const name = `${pull.draft ? "Draft" : "Pull request"} ${pull.number}`;
  const looks = cls("tabular inline-flex h-6 items-center gap-1 rounded px-1 text-xs font-medium no-underline hover:bg-hover", pull.draft ? "text-text-2" : "text-good");
  const inside = (
    <>
      <Icon name="pull" size={14} />
      {pull.number}
    </>
  );
  // A branch of a local repository has no page elsewhere; its review is here.
  return /^https?:/.test(pull.url) ? (
    <a href={pull.url} target="_blank" rel="noreferrer" aria-label={name} title={name} className={looks}>
      {inside}
    </a>
  ) : (
    <Link to="/tasks/$task/review" params={{ task: row.id }} aria-label={`Review: ${name}`} title={`${name}: ${pull.branch}`} className={looks}>
      {inside}
    </Link>
  );
}

function ModelName({ attempt }: { attempt: AttemptRow | undefined }) {
  if (!attempt) return null;
  return <span className="block truncate text-xs text-text-3">{attempt.model?.split(":").at(-1) ?? attempt.engine}</span>;
}

const DOT: Record<string, string> = {
  fixed: "bg-good",
  "proven-new": "bg-good",
  preserved: "bg-good",
  regressed: "bg-bad",
  failed: "bg-bad",
  flaky: "bg-warn",
  unproven: "bg-warn",
  waiting: "bg-warn",
  running: "bg-busy",
  preparing: "bg-busy",
  verifying: "bg-busy",
};

/** Several attempts: one mark each, in their order, and how many are proven. */
function Attempts({ attempts, chosen }: { attempts: AttemptRow[]; chosen: string | null }) {
  const proven = attempts.filter((one) => one.verdict && DOT[one.verdict] === "bg-good").length;
  return (
    <span className="inline-flex items-center gap-2 text-xs text-text-2">
      <span aria-hidden="true" className="inline-flex gap-1">
        {attempts.map((one) => (
          <span
            key={one.id}
            title={`Attempt ${one.ordinal}: ${one.verdict ?? one.state}`}
            className={cls("h-3 w-1.5 rounded-full", DOT[one.verdict ?? one.state] ?? "bg-line-strong", one.id === chosen && "outline-2 outline-offset-1 outline-ring")}
          />
        ))}
      </span>
      <span className="tabular whitespace-nowrap">
        {proven}/{attempts.length}
        <span className="max-lg:sr-only"> proven</span>
      </span>
    </span>
  );
}
