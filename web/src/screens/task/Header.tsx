import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { useNotifying } from "../../api/notify";
import type { Task } from "../../api/queries";
import { Button, buttonClass, IconButton } from "../../parts/Button";
import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { Menu } from "../../parts/Menu";
import { State } from "../../parts/State";
import { ago, headline, repositoryName } from "../../parts/words";
import { useNow } from "../../parts/now";
import type { useActs } from "./acts";

/** What the task is, where it stands, and what can be done with it. */
export function Header({ task, acts, ordinal }: { task: Task; acts: ReturnType<typeof useActs>; ordinal: number }) {
  const now = useNow();
  const [whole, setWhole] = useState(false);
  const title = headline(task.prompt);
  const long = task.prompt.trim() !== title;
  const waits = task.waiting_for ?? task.reason;
  return (
    <header className="shrink-0 border-b border-line bg-raised px-4 py-2.5 max-sm:px-3">
      <div className="flex items-start gap-3 max-sm:flex-wrap">
        <div className="min-w-0 flex-1 max-sm:basis-full">
          <h1 className={cls("text-lg leading-6 font-semibold", !whole && "line-clamp-2")}>{title}</h1>
          <p className="mt-0.5 flex min-w-0 flex-wrap items-center gap-x-2 text-xs text-text-3">
            <State state={task.state} />
            {waits && <span className="line-clamp-1 max-w-full text-text-2">{waits}</span>}
            <span title={task.repository}>{repositoryName(task.repository)}</span>
            <code className="font-mono" title={task.base}>
              {task.base.slice(0, 8)}
            </code>
            <span>
              {task.by && `${task.by}, `}
              <time dateTime={task.created}>{ago(task.created, now)}</time>
            </span>
            {long && (
              <button type="button" aria-expanded={whole} onClick={() => setWhole(!whole)} className="font-medium text-accent hover:underline">
                {whole ? "Less" : "Whole text"}
              </button>
            )}
          </p>
        </div>
        <div className="flex shrink-0 flex-wrap items-center gap-1.5 max-sm:w-full">
          <Bell />
          {acts.can.pause && (
            <Button size="sm" icon="pause" disabled={acts.busy} onClick={() => acts.run("pause")}>
              Pause
            </Button>
          )}
          {acts.can.resume && (
            <Button size="sm" icon="play" look="primary" disabled={acts.busy} onClick={() => acts.run("resume")}>
              Resume
            </Button>
          )}
          {acts.can.cancel && (
            <Button size="sm" icon="stop" look="danger" disabled={acts.busy} onClick={() => acts.run("cancel")}>
              Stop
            </Button>
          )}
          {acts.can.retry && (
            <Button size="sm" icon="retry" disabled={acts.busy} onClick={() => acts.run("retry")}>
              Retry
            </Button>
          )}
          {task.attempts.length > 1 && (
            <Link to="/compare" search={{ tasks: task.id }} className={buttonClass({ size: "sm" })}>
              <Icon name="columns" size={14} /> Compare
            </Link>
          )}
          {task.attempts.some((one) => one.files_changed > 0) && (
            <Link to="/tasks/$task/review" params={{ task: task.id }} search={{ attempt: ordinal }} className={buttonClass({ size: "sm", look: "primary" })}>
              Review
            </Link>
          )}
          <PullRequest task={task} acts={acts} />
        </div>
      </div>
      {whole && <p className="scroll-quiet mt-2 max-h-60 max-w-prose overflow-y-auto border-l-2 border-line pl-3 text-sm whitespace-pre-wrap text-text-2">{task.prompt}</p>}
    </header>
  );
}

function PullRequest({ task, acts }: { task: Task; acts: ReturnType<typeof useActs> }) {
  const pull = task.pull_request;
  if (!pull) return null;
  const page = /^https?:/.test(pull.url);
  return (
    <Menu
      label={`${pull.draft ? "Draft" : "Pull request"} ${pull.number}`}
      className={buttonClass({ size: "sm" }, pull.draft ? undefined : "text-good")}
      items={[
        ...(page ? [{ label: `Open on ${pull.forge}`, icon: "external" as const, act: () => void window.open(pull.url, "_blank", "noreferrer") }] : []),
        { label: "Bring it up to date", disabled: !acts.can.write, hint: `Branch ${pull.branch}`, icon: "retry", act: () => acts.run("deliver") },
      ]}
    >
      <Icon name="pull" size={14} />#{pull.number}
    </Menu>
  );
}

/** Whether this browser tells when a task has ended or needs somebody. */
function Bell() {
  const [state, set] = useNotifying();
  if (state === "impossible") return null;
  if (state === "blocked") return <IconButton icon="bell" label="Notifications are blocked: allow them for this page in the browser's settings" disabled />;
  return <IconButton icon="bell" label={state === "on" ? "Notifications are on" : "Tell me when a task has ended or needs me"} pressed={state === "on"} onClick={() => void set(state !== "on")} />;
}
