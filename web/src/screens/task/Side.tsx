import { Link } from "@tanstack/react-router";

import type { Attempt, Task } from "../../api/queries";
import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { useSecond } from "../../parts/now";
import { Diffstat, Verdict } from "../../parts/State";
import { count, duration, money, plural } from "../../parts/words";
import type { Timeline } from "./attempt";

type Step = Timeline["plan"][number];

/** What the engine means to do and how far it is. */
export function Plan({ steps }: { steps: Step[] }) {
  const done = steps.filter((step) => step.status === "done").length;
  return (
    <section aria-label="Plan">
      <h2 className="mb-1.5 flex items-center gap-1.5 text-xs font-semibold text-text-2">
        <Icon name="pin" size={12} /> Plan
        <span className="tabular font-normal text-text-3">
          {done} of {steps.length}
        </span>
      </h2>
      <ol className="flex flex-col gap-1">
        {steps.map((step, place) => (
          <li key={place} className="flex items-start gap-2 text-sm">
            <span
              className={cls(
                "mt-0.5 inline-flex size-4 shrink-0 items-center justify-center rounded-full border",
                step.status === "done" ? "border-transparent bg-good text-raised" : step.status === "in-progress" ? "border-busy text-busy" : "border-control",
              )}
            >
              {step.status === "done" && <Icon name="check" size={10} />}
              {step.status === "in-progress" && <span className="breathing size-1.5 rounded-full bg-current" />}
              <span className="sr-only">{step.status}</span>
            </span>
            <span className={step.status === "done" ? "text-text-3" : "text-text"}>{step.text}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Line({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="flex items-baseline justify-between gap-3 py-0.5">
      <dt className="shrink-0 text-xs text-text-3">{name}</dt>
      <dd className="tabular min-w-0 truncate text-right text-xs text-text">{children}</dd>
    </div>
  );
}

/** What the attempt has taken. */
export function Figures({ attempt, started }: { attempt: Attempt; started: string | null }) {
  const now = useSecond();
  const { usage } = attempt;
  const cached = usage.input_tokens > 0 ? Math.round((100 * usage.cached_tokens) / usage.input_tokens) : 0;
  const seconds = attempt.seconds + (started ? Math.max(0, (now - Date.parse(started)) / 1000) : 0);
  return (
    <section aria-label="Figures">
      <h2 className="mb-1 text-xs font-semibold text-text-2">Attempt</h2>
      <dl>
        <Line name="Engine">{attempt.engine}</Line>
        {attempt.model && <Line name="Model">{attempt.model}</Line>}
        <Line name="Turns">{attempt.turns}</Line>
        <Line name="Time">{duration(seconds)}</Line>
        <Line name="Cost">{money(usage.cost)}</Line>
        <Line name="Tokens">
          {count(usage.input_tokens)} in{cached > 0 && ` (${cached}% cached)`}, {count(usage.output_tokens)} out
        </Line>
      </dl>
    </section>
  );
}

/** The change and what was shown of it. */
export function ChangeCard({ task, attempt, ordinal }: { task: Task; attempt: Attempt; ordinal: number }) {
  if (attempt.files_changed === 0 && !attempt.receipt) return null;
  const { receipt } = attempt;
  const groups = receipt
    ? ([
        ["fixed", receipt.fixed, "text-good"],
        ["new", receipt.new, "text-good"],
        ["regressed", receipt.regressed, "text-bad"],
        ["still failing", receipt.still_failing, "text-warn"],
        ["flaky", receipt.flaky, "text-warn"],
      ] as const)
    : [];
  return (
    <section aria-label="Change">
      <h2 className="mb-1.5 text-xs font-semibold text-text-2">Change</h2>
      <div className="rounded-md bg-raised p-3 shadow-raised">
        <div className="flex items-center justify-between gap-2">
          <span className="text-sm">{plural(attempt.files_changed, "file")}</span>
          <Diffstat insertions={attempt.insertions} deletions={attempt.deletions} />
        </div>
        {receipt && (
          <>
            <p className="mt-2 flex items-start gap-2 text-xs text-text-2">
              <Verdict verdict={receipt.verdict} />
              <span>{receipt.reason}</span>
            </p>
            {groups.some(([, tests]) => tests.length > 0) && (
              <p className="tabular mt-2 flex flex-wrap gap-x-3 text-xs">
                {groups
                  .filter(([, tests]) => tests.length > 0)
                  .map(([name, tests, colour]) => (
                    <span key={name} className={colour}>
                      {tests.length} {name}
                    </span>
                  ))}
              </p>
            )}
          </>
        )}
        <Link to="/tasks/$task/review" params={{ task: task.id }} search={{ attempt: ordinal }} className="mt-3 inline-flex items-center gap-1 text-sm font-medium text-accent no-underline hover:underline">
          Review it <Icon name="right" size={12} />
        </Link>
      </div>
    </section>
  );
}
