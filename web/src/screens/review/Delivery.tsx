import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { api, got } from "../../api/client";
import { type Attempt, type Task, isFinal, taskQuery } from "../../api/queries";
import { Button, buttonClass } from "../../parts/Button";
import { Copy } from "../../parts/Copy";
import { Dialog } from "../../parts/Dialog";
import { Icon } from "../../parts/Icon";
import { tell, tellFailure } from "../../parts/Toast";
import { delivery, ordinalOf, patchAddress } from "./change";

/** Delivers a task's chosen change, or another attempt's in its place. */
export function useDelivery(task: Task) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (attempt: Attempt) => {
      const params = { path: { task: task.id } };
      return task.chosen === attempt.id
        ? got(api.POST("/api/v1/tasks/{task}/deliver", { params }))
        : got(api.POST("/api/v1/tasks/{task}/choose", { params, body: { attempt: ordinalOf(task, attempt) } }));
    },
    onSuccess: (after) => {
      client.setQueryData(taskQuery(task.id).queryKey, after);
      tell("On its way", "The branch and the pull request follow.");
    },
    onError: tellFailure,
  });
}

/** The pull request as it stands to what is looked at: make it, bring it up to date, put this change into it. */
export function Delivery({ task, attempt }: { task: Task; attempt: Attempt }) {
  const deliver = useDelivery(task);
  const { state, may } = delivery(task, attempt);
  const pull = task.pull_request;
  if (task.state === "delivering") return <Standing words="Delivering" />;
  return (
    <>
      {pull && state !== "other" && <PullRequest pull={pull} />}
      {state !== "same" && (
        <Button size="sm" look="primary" icon="pull" disabled={!may} busy={deliver.isPending} onClick={() => deliver.mutate(attempt)} title={may ? undefined : whyNot(task, attempt)}>
          {{ none: "Create pull request", older: "Update pull request", other: pull ? "Put this into the pull request" : "Deliver this attempt", same: "" }[state]}
        </Button>
      )}
    </>
  );
}

function whyNot(task: Task, attempt: Attempt): string {
  if (!isFinal(task.state)) return "The task is still at work.";
  return attempt.head === null ? "The attempt has no change." : "The change was not verified yet.";
}

function Standing({ words }: { words: string }) {
  return (
    <span role="status" className="inline-flex h-7 items-center gap-1.5 text-xs text-busy">
      <span className="breathing size-2 rounded-full bg-current" />
      {words}
    </span>
  );
}

function PullRequest({ pull }: { pull: NonNullable<Task["pull_request"]> }) {
  const words = `${pull.draft ? "Draft" : "Pull request"} #${pull.number}`;
  const looks = buttonClass({ size: "sm" }, pull.draft ? undefined : "text-good!");
  return /^https?:/.test(pull.url) ? (
    <a href={pull.url} target="_blank" rel="noreferrer" className={looks}>
      <Icon name="pull" size={14} /> {words} <Icon name="external" size={12} />
    </a>
  ) : (
    <span title={`Branch ${pull.branch}`} className="inline-flex h-7 items-center gap-1.5 px-1 text-xs font-medium text-good">
      <Icon name="pull" size={14} /> {words}
      <code className="max-w-48 truncate font-mono text-text-3 max-lg:hidden">{pull.branch}</code>
    </span>
  );
}

/** The ways to have the change in one's own clone. */
export function ApplyLocally({ task, attempt }: { task: Task; attempt: Attempt }) {
  const [open, setOpen] = useState(false);
  const own = task.chosen === attempt.id ? "" : ` --attempt ${ordinalOf(task, attempt)}`;
  return (
    <>
      <Button size="sm" icon="terminal" onClick={() => setOpen(true)}>
        Apply locally
      </Button>
      {open && (
        <Dialog title="Apply this change locally" onClose={() => setOpen(false)}>
          <dl className="flex flex-col gap-4">
            <Way words="On the working tree, merged with what is there:">
              <Copy text={`pullwright task apply ${task.id}${own}`} label="Copy the command" />
            </Way>
            {task.pull_request && (
              <Way words="The branch of the pull request:">
                <Copy text={`git fetch origin ${task.pull_request.branch} && git switch ${task.pull_request.branch}`} label="Copy the git command" />
              </Way>
            )}
            <Way words="Anywhere, as a patch:">
              <Copy text={`curl -fsS -H "Authorization: Bearer $PULLWRIGHT_TOKEN" ${location.origin}${patchAddress({ attempt: attempt.id })} | git apply`} label="Copy the curl command" />
              <a href={patchAddress({ attempt: attempt.id })} target="_blank" rel="noreferrer" className="mt-1.5 inline-block text-xs text-accent underline underline-offset-2">
                Look at the patch
              </a>
            </Way>
          </dl>
        </Dialog>
      )}
    </>
  );
}

function Way({ words, children }: { words: string; children: ReactNode }) {
  return (
    <div>
      <dt className="mb-1 text-xs text-text-2">{words}</dt>
      <dd>{children}</dd>
    </div>
  );
}
