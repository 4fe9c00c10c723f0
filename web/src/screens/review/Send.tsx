import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, got } from "../../api/client";
import { type Attempt, type Task, taskQuery } from "../../api/queries";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Field, TextArea } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { tell } from "../../parts/Toast";
import { plural } from "../../parts/words";
import { ordinalOf } from "./change";
import type { Comment } from "./marks";
import { placeOf } from "./Note";

/** All comments of a review, looked over once more and sent as one follow-up. */
export function Send({ task, attempt, comments, onSent, onClose }: { task: Task; attempt: Attempt; comments: Comment[]; onSent: () => void; onClose: () => void }) {
  const client = useQueryClient();
  const [text, setText] = useState("");
  const send = useMutation({
    mutationFn: () =>
      got(
        api.POST("/api/v1/tasks/{task}/comments", {
          params: { path: { task: task.id } },
          body: {
            comments: comments.map((one) => ({
              path: one.path,
              side: one.side,
              line: one.line || null,
              text: one.first < one.line ? `Lines ${one.first} to ${one.line}: ${one.text}` : one.text,
            })),
            text: text.trim(),
            attempt: ordinalOf(task, attempt),
          },
        }),
      ),
    onSuccess: (after) => {
      client.setQueryData(taskQuery(task.id).queryKey, after);
      tell("Sent", "The agent goes on with the change; the pull request is updated when it is done.");
      onSent();
    },
  });
  return (
    <Dialog
      title={`Send ${plural(comments.length, "comment")}`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Back</Button>
          <Button look="primary" icon="send" busy={send.isPending} disabled={comments.length === 0} onClick={() => send.mutate()}>
            Send as one follow-up
          </Button>
        </>
      }
    >
      {send.error && <ErrorBox error={send.error} className="mb-3" />}
      <ul className="mb-4 flex flex-col gap-2.5">
        {comments.map((one) => (
          <li key={one.id} className="border-l-2 border-line pl-3">
            <p className="font-mono text-xs text-text-3">
              {one.path}, {placeOf(one)}
            </p>
            <p className="whitespace-pre-wrap">{one.text}</p>
          </li>
        ))}
      </ul>
      <Field label="Something to say with them (optional)">
        {(given) => (
          <TextArea
            {...given}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => event.key === "Enter" && (event.metaKey || event.ctrlKey) && send.mutate()}
          />
        )}
      </Field>
    </Dialog>
  );
}
