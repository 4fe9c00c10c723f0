import { useQuery } from "@tanstack/react-query";
import { createLazyRoute, Link, useNavigate } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useState } from "react";

import { type Attempt, type Task, taskQuery } from "../../api/queries";
import { Button } from "../../parts/Button";
import { Select } from "../../parts/Field";
import { Icon } from "../../parts/Icon";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { Diffstat, State, Verdict } from "../../parts/State";
import { Tabs } from "../../parts/Tabs";
import { headline } from "../../parts/words";
import { useCommands } from "../../shell/keys";
import { Changes } from "./Changes";
import { attemptOf, ordinalOf, useFresh } from "./change";
import { ApplyLocally, Delivery } from "./Delivery";
import { useComments } from "./marks";

export const Route = createLazyRoute("/tasks/$task/review")({ component: Review });

const Receipt = lazy(() => import("./Receipt").then((module) => ({ default: module.Receipt })));
const Send = lazy(() => import("./Send").then((module) => ({ default: module.Send })));

function Review() {
  const { task: id } = Route.useParams();
  const { attempt: ordinal } = Route.useSearch();
  const task = useQuery(taskQuery(id));
  useFresh([task.data?.id ?? id]);
  if (task.error) return <ErrorBox error={task.error} again={() => void task.refetch()} className="m-4" />;
  if (!task.data) return <Loading lines={8} />;
  const attempt = attemptOf(task.data, ordinal);
  if (!attempt) {
    return (
      <Empty icon="file" title="Nothing to review yet" action={<Link to="/tasks/$task" params={{ task: id }} className="text-accent underline">See how it gets on</Link>}>
        The task has no attempt so far. A change can be reviewed while it is still being made.
      </Empty>
    );
  }
  return <Reviewed key={attempt.id} task={task.data} attempt={attempt} />;
}

function Reviewed({ task, attempt }: { task: Task; attempt: Attempt }) {
  const navigate = useNavigate({ from: "/tasks/$task/review" });
  const { view = "changes" } = Route.useSearch();
  const comments = useComments(attempt.id);
  const [sending, setSending] = useState(false);
  const show = (next: string) => void navigate({ search: (before) => ({ ...before, view: next === "changes" ? undefined : next }), replace: true });
  useCommands([
    { group: "Review", label: view === "receipt" ? "Show the changes" : "Show the receipt", keys: "r", act: () => show(view === "receipt" ? "changes" : "receipt") },
    ...(comments.ready.length > 0 ? [{ group: "Review", label: "Send the comments", keys: "shift+s", act: () => setSending(true) }] : []),
  ]);
  return (
    <div className="flex h-full min-h-0 flex-col">
      <Header task={task} attempt={attempt}>
        {comments.ready.length > 0 && (
          <Button size="sm" look="primary" icon="send" onClick={() => setSending(true)}>
            Send {comments.ready.length === 1 ? "comment" : `${comments.ready.length} comments`}
          </Button>
        )}
        <ApplyLocally task={task} attempt={attempt} />
        <Delivery task={task} attempt={attempt} />
      </Header>
      <Tabs
        label="Parts of the review"
        tabs={[
          { name: "changes", label: "Changes", count: attempt.files_changed },
          { name: "receipt", label: "Receipt", count: undefined },
        ]}
        chosen={view === "receipt" ? "receipt" : "changes"}
        onChoose={show}
        className="bg-raised px-4"
        panelClass="min-h-0 flex-1"
      >
        {view === "receipt" ? (
          <Suspense fallback={<Loading lines={8} />}>
            <Receipt attempt={attempt} />
          </Suspense>
        ) : (
          <Changes attempt={attempt} comments={comments} />
        )}
      </Tabs>
      {sending && (
        <Suspense>
          <Send
            task={task}
            attempt={attempt}
            comments={comments.ready}
            onSent={() => {
              comments.clear();
              setSending(false);
            }}
            onClose={() => setSending(false)}
          />
        </Suspense>
      )}
    </div>
  );
}

function Header({ task, attempt, children }: { task: Task; attempt: Attempt; children: ReactNode }) {
  const navigate = useNavigate({ from: "/tasks/$task/review" });
  return (
    <header className="flex shrink-0 items-center gap-x-4 gap-y-2 bg-raised px-4 pt-2.5 pb-1 max-lg:flex-wrap max-sm:px-3">
      <div className="min-w-0 flex-1 max-lg:basis-full">
        <h1 className="flex min-w-0 items-center gap-2 text-lg leading-6 font-semibold">
          <Link to="/tasks/$task" params={{ task: task.id }} aria-label="Back to the task" className="-ml-1 rounded p-1 text-text-3 hover:bg-hover hover:text-text">
            <Icon name="left" />
          </Link>
          <span className="truncate">{headline(task.prompt)}</span>
        </h1>
        <div className="mt-0.5 flex flex-wrap items-center gap-x-3 gap-y-1 pl-7 text-xs max-sm:pl-0">
          <State state={task.state} />
          {attempt.receipt && <Verdict verdict={attempt.receipt.verdict} />}
          <Diffstat insertions={attempt.insertions} deletions={attempt.deletions} />
          {task.attempts.length > 1 ? (
            <>
              <Select
                aria-label="Attempt"
                value={ordinalOf(task, attempt)}
                onChange={(event) => void navigate({ search: (before) => ({ ...before, attempt: Number(event.target.value), file: undefined }) })}
                className="h-6! w-auto! text-xs!"
              >
                {task.attempts.map((one, place) => (
                  <option key={one.id} value={place + 1}>
                    {`Attempt ${place + 1}: ${one.model ?? one.engine}${one.id === task.chosen ? " (chosen)" : ""}`}
                  </option>
                ))}
              </Select>
              <Link to="/compare" search={{ tasks: task.id }} className="text-accent underline-offset-2 hover:underline">
                Compare
              </Link>
            </>
          ) : (
            <span className="text-text-3">{attempt.model ?? attempt.engine}</span>
          )}
        </div>
      </div>
      <div className="flex flex-wrap items-center gap-1.5">{children}</div>
    </header>
  );
}
