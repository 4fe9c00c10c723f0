import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, got } from "../../api/client";
import { isFinal } from "../../api/queries";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { ErrorBox } from "../../parts/Says";
import { tell } from "../../parts/Toast";
import { type Column, type TaskColumns, nameOf } from "./comparison";

/** Has one attempt's change delivered. Where another's was, a person says it twice. */
export function Choose({ task, column, name }: { task: TaskColumns; column: Column; name: string }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const choose = useMutation({
    mutationFn: () => got(api.POST("/api/v1/tasks/{task}/choose", { params: { path: { task: task.task } }, body: { attempt: column.ordinal } })),
    onSuccess: async () => {
      setAsking(false);
      tell(`${nameOf(column)} is on its way`, "The branch and the pull request follow.");
      await client.invalidateQueries({ queryKey: ["comparison"] });
    },
  });
  const earlier = task.attempts.find((one) => one.chosen);
  if (column.chosen) return <span className="text-xs text-text-2">{task.chosen_by === "person" ? "A person chose it" : "Chosen by its rank"}</span>;
  if (column.verdict === null || column.files === 0) return <span className="text-text-3">–</span>;
  return (
    <>
      <Button size="sm" icon="pull" aria-label={`Pick ${name.replace(/^A/, "a")}`} disabled={!isFinal(task.state)} title={isFinal(task.state) ? undefined : "The task is still at work."} onClick={() => setAsking(true)}>
        Pick {nameOf(column).toLowerCase()}
      </Button>
      {asking && (
        <Dialog
          title={`Deliver ${name.replace(/^A/, "a")}?`}
          onClose={() => setAsking(false)}
          footer={
            <>
              <Button onClick={() => setAsking(false)}>Back</Button>
              <Button look="primary" icon="pull" busy={choose.isPending} onClick={() => choose.mutate()}>
                Put it into the pull request
              </Button>
            </>
          }
        >
          {choose.error && <ErrorBox error={choose.error} className="mb-3" />}
          <p>
            {earlier ? `It takes the place of ${nameOf(earlier).toLowerCase()} on the task's branch and pull request.` : "Its change becomes the task's branch and pull request."} Nothing is lost: every attempt
            can be picked again.
          </p>
        </Dialog>
      )}
    </>
  );
}
