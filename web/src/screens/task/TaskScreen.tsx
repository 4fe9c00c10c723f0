import { useQuery } from "@tanstack/react-query";
import { createLazyRoute, Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { type Attempt, isFinal, type Task } from "../../api/queries";
import { buttonClass } from "../../parts/Button";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { State, Verdict } from "../../parts/State";
import { Tabs } from "../../parts/Tabs";
import { plural } from "../../parts/words";
import { useCommands } from "../../shell/keys";
import { SteerDialog, type Steering, useActs } from "./acts";
import { Answer } from "./Answer";
import { type Call, type Timeline, taskLogQuery, turnsQuery, useSaying, useTask, useTaskNews, workingSince } from "./attempt";
import { FullLog } from "./FullLog";
import { Header } from "./Header";
import { OutputDialog } from "./OutputDialog";
import { Ports } from "./Ports";
import { Say } from "./Say";
import { ChangeCard, Figures, Plan } from "./Side";
import { TimelineView } from "./TimelineView";

function TaskScreen() {
  const { task: id } = useParams({ from: "/tasks/$task" });
  const search = useSearch({ from: "/tasks/$task" });
  const { task, attempt, ordinal } = useTask(id, search.attempt);
  useTaskNews(task.data?.id ?? id, attempt?.id);
  if (task.error && !task.data) {
    return (
      <div className="mx-auto max-w-xl px-4 py-16">
        <ErrorBox error={task.error} again={() => void task.refetch()} />
        <Link to="/" className={buttonClass({}, "mt-4")}>
          All tasks
        </Link>
      </div>
    );
  }
  if (!task.data) return <Loading lines={8} />;
  return <Shown task={task.data} attempt={attempt} ordinal={ordinal} view={search.view === "log" ? "log" : "timeline"} />;
}

interface ShownProps {
  task: Task;
  attempt: Attempt | undefined;
  ordinal: number;
  view: "timeline" | "log";
}

function Shown({ task, attempt, ordinal, view }: ShownProps) {
  const navigate = useNavigate();
  const acts = useActs(task);
  const turns = useQuery({ ...turnsQuery(attempt?.id ?? ""), enabled: attempt !== undefined });
  const log = useQuery(taskLogQuery(task.id)).data;
  const saying = useSaying(attempt?.id, attempt?.state, turns.data !== undefined);
  const [steering, setSteering] = useState<Steering | null>(null);
  const [output, setOutput] = useState<Call | null>(null);
  const ofTurns = useMemo(() => ({ may: acts.can.write, rewind: (turn: Steering["turn"]) => setSteering({ what: "rewind", turn }), fork: (turn: Steering["turn"]) => setSteering({ what: "fork", turn }), output: setOutput }), [acts.can.write]);
  const timeline = turns.data;
  const live = attempt !== undefined && !isFinal(attempt.state);
  const go = (part: { attempt?: number; view?: string }) =>
    void navigate({ to: "/tasks/$task", params: { task: task.id }, search: { attempt: ordinal, ...(view === "log" ? { view } : {}), ...part }, replace: true });

  useCommands([
    ...(acts.can.pause ? [{ group: "Task", label: "Pause the task", keys: "p", act: () => acts.run("pause") }] : []),
    ...(acts.can.resume ? [{ group: "Task", label: "Resume the task", keys: "p", act: () => acts.run("resume") }] : []),
    ...(acts.can.cancel ? [{ group: "Task", label: "Stop the task", act: () => acts.run("cancel") }] : []),
    ...(acts.can.retry ? [{ group: "Task", label: "Hand the task in again", act: () => acts.run("retry") }] : []),
    { group: "Task", label: "Review the change", keys: "r", act: () => void navigate({ to: "/tasks/$task/review", params: { task: task.id }, search: { attempt: ordinal } }) },
    { group: "Task", label: view === "log" ? "Show the timeline" : "Show the full log", keys: "l", act: () => go({ view: view === "log" ? "timeline" : "log" }) },
    ...(task.attempts.length > 1
      ? [
          { group: "Task", label: "Next attempt", keys: "]", act: () => go({ attempt: (ordinal % task.attempts.length) + 1 }) },
          { group: "Task", label: "Compare the attempts", keys: "shift+c", act: () => void navigate({ to: "/compare", search: { tasks: task.id } }) },
        ]
      : []),
    { group: "Task", label: "Back to all tasks", keys: "u", act: () => void navigate({ to: "/" }) },
  ]);

  return (
    <div className="flex h-full flex-col">
      <Header task={task} acts={acts} ordinal={ordinal} />
      <div className="flex min-h-0 flex-1">
        <div className="flex min-w-0 flex-1 flex-col">
          {task.attempts.length > 1 && <Attempts task={task} ordinal={ordinal} onChoose={(next) => go({ attempt: next })} />}
          {attempt && (
            <details className="shrink-0 border-b border-line bg-raised px-4 py-2 lg:hidden max-sm:px-3">
              <summary className="truncate text-xs font-medium text-text-2">{summaryOf(attempt, timeline?.plan ?? [])}</summary>
              <div className="scroll-quiet flex max-h-[50vh] flex-col gap-4 overflow-y-auto pt-3">
                <About task={task} attempt={attempt} ordinal={ordinal} timeline={timeline} />
              </div>
            </details>
          )}
          <Tabs
            label="View"
            className="px-4 max-sm:px-3"
            panelClass="flex min-h-0 flex-1 flex-col"
            tabs={[
              { name: "timeline", label: "Timeline", count: timeline?.turns.length },
              { name: "log", label: "Full log" },
            ]}
            chosen={view}
            onChoose={(next) => go({ view: next })}
          >
            {turns.error && !timeline && <ErrorBox error={turns.error} again={() => void turns.refetch()} className="m-4" />}
            {!timeline && !turns.error && attempt && <Loading lines={6} />}
            {timeline && view === "timeline" && (
              <>
                {task.answer && <Answer text={task.answer} citations={task.citations} />}
                {timeline.turns.length === 0 && timeline.notes.length === 0 ? (
                  <Empty icon="play" title="Nothing has happened yet">
                    {task.waiting_for ? `It waits for ${task.waiting_for}.` : "The attempt begins when a worker is free and the environment is ready."}
                  </Empty>
                ) : (
                  <TimelineView key={attempt?.id} timeline={timeline} ofTask={log?.items ?? []} saying={saying} live={live} acts={ofTurns} />
                )}
              </>
            )}
            {timeline && view === "log" && <FullLog timeline={timeline} saying={saying} live={live} />}
          </Tabs>
          {attempt && acts.can.write && attempt.engine !== "repair" && <Say key={attempt.id} task={task} attempt={attempt} ordinal={ordinal} timeline={timeline} />}
        </div>
        {attempt && (
          <aside aria-label="About the attempt" className="scroll-quiet flex w-72 shrink-0 flex-col gap-5 overflow-y-auto border-l border-line p-4 max-lg:hidden">
            <About task={task} attempt={attempt} ordinal={ordinal} timeline={timeline} />
          </aside>
        )}
      </div>
      {steering && attempt && <SteerDialog task={task} attempt={attempt} ordinal={ordinal} steering={steering} onClose={() => setSteering(null)} />}
      {output && <OutputDialog call={output} onClose={() => setOutput(null)} />}
    </div>
  );
}

function Attempts({ task, ordinal, onChoose }: { task: Task; ordinal: number; onChoose: (ordinal: number) => void }) {
  return (
    <nav aria-label="Attempts" className="scroll-quiet flex shrink-0 gap-1.5 overflow-x-auto border-b border-line px-4 py-2 max-sm:px-3">
      {task.attempts.map((one, place) => (
        <button
          key={one.id}
          type="button"
          aria-current={place + 1 === ordinal ? "true" : undefined}
          onClick={() => onChoose(place + 1)}
          className={`inline-flex h-8 shrink-0 items-center gap-2 rounded border px-2.5 text-xs max-sm:h-10 ${place + 1 === ordinal ? "border-accent bg-selected" : "border-line hover:bg-hover"}`}
        >
          <span className="tabular font-semibold">{place + 1}</span>
          <span className="max-w-36 truncate text-text-2">{one.model?.split(":").at(-1) ?? one.engine}</span>
          {one.receipt ? <Verdict verdict={one.receipt.verdict} /> : <State state={one.state} />}
          {one.id === task.chosen && <span className="font-medium text-good">chosen</span>}
        </button>
      ))}
    </nav>
  );
}

function summaryOf(attempt: Attempt, plan: Timeline["plan"]): string {
  const done = plan.filter((step) => step.status === "done").length;
  const now = plan.find((step) => step.status === "in-progress")?.text;
  const parts = [plan.length > 0 ? `Plan ${done} of ${plan.length}` : null, now, plan.length === 0 ? `${attempt.engine}${attempt.model ? `, ${attempt.model}` : ""}` : null, plural(attempt.turns, "turn")];
  return parts.filter(Boolean).join(" · ");
}

function About({ task, attempt, ordinal, timeline }: { task: Task; attempt: Attempt; ordinal: number; timeline: Timeline | undefined }) {
  const state = attempt.waiting_for ?? attempt.reason;
  const plan = timeline?.plan ?? [];
  return (
    <>
      {plan.length > 0 && <Plan steps={plan} />}
      <ChangeCard task={task} attempt={attempt} ordinal={ordinal} />
      
      <Ports attempt={attempt} />
      <Figures attempt={attempt} started={isFinal(attempt.state) ? null : workingSince(timeline)} />
      <section aria-label="State of the attempt">
        <State state={attempt.state} />
        {state && <p className="mt-1 text-xs text-text-2">{state}</p>}
      </section>
    </>
  );
}

export const Route = createLazyRoute("/tasks/$task")({ component: TaskScreen });
