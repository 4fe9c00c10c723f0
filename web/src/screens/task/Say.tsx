import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";

import { api, got } from "../../api/client";
import { type Attempt, isFinal, queries, type Task, taskQuery } from "../../api/queries";
import { Button } from "../../parts/Button";
import { Icon } from "../../parts/Icon";
import { ErrorBox } from "../../parts/Says";
import { useCommands } from "../../shell/keys";
import type { Timeline } from "./attempt";

/** What the attempt asks and waits for, if it does. */
function questionOf(attempt: Attempt, timeline: Timeline | undefined): { text: string; choices: readonly string[] } | null {
  if (attempt.state !== "waiting") return null;
  for (const { event } of timeline?.notes.toReversed() ?? []) {
    if (event.kind === "person-said" || event.kind === "rewound") return null;
    if (event.kind === "question-asked") return { text: event.text, choices: event.choices ?? [] };
  }
  return null;
}

/** Where a person says something to the engine, or answers it. */
export function Say({ task, attempt, ordinal, timeline }: { task: Task; attempt: Attempt; ordinal: number; timeline: Timeline | undefined }) {
  const [words, setWords] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const question = questionOf(attempt, timeline);
  const send = useMutation({
    mutationFn: (text: string) => {
      const params = { path: { task: task.id } };
      return got(question ? api.POST("/api/v1/tasks/{task}/answer", { params, body: { text, attempt: ordinal } }) : api.POST("/api/v1/tasks/{task}/messages", { params, body: { text, attempt: task.attempts.length > 1 ? ordinal : null } }));
    },
    onSuccess: (now) => {
      setWords("");
      queries.setQueryData(taskQuery(task.id).queryKey, now);
    },
  });
  const { mutate, isPending } = send;
  const ready = words.trim() !== "" && !isPending;
  useCommands([{ group: "Task", label: question ? "Answer" : "Write a message", keys: "m", act: () => field.current?.focus() }]);
  const ended = isFinal(task.state);
  const hint = question ? "Answer in your own words" : ended ? "Say what should be different: the work is taken up again on the same branch" : "Say something: it is read before the next turn";
  return (
    <section aria-label={question ? "Question" : "Message"} className="shrink-0 border-t border-line bg-ground p-3">
      {question && (
        <div className="mb-2 rounded-md bg-warn-soft px-3 py-2.5">
          <p className="flex items-start gap-2 text-sm font-medium">
            <Icon name="question" className="mt-0.5 text-warn" />
            <span className="whitespace-pre-wrap">{question.text}</span>
          </p>
          {question.choices.length > 0 && (
            <div className="mt-2 flex flex-wrap gap-1.5 pl-6">
              {question.choices.map((choice) => (
                <Button key={choice} disabled={isPending} onClick={() => mutate(choice)}>
                  {choice}
                </Button>
              ))}
            </div>
          )}
        </div>
      )}
      {send.error && <ErrorBox error={send.error} className="mb-2" />}
      <form
        className="flex items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) mutate(words.trim());
        }}
      >
        <textarea
          ref={field}
          rows={1}
          value={words}
          aria-label={question ? "Your answer" : "Your message"}
          placeholder={hint}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") field.current?.blur();
            if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey)) return;
            event.preventDefault();
            if (ready) mutate(words.trim());
          }}
          className="field-sizing-content max-h-40 min-h-9 flex-1 resize-none rounded border border-control bg-raised px-3 py-2 text-sm placeholder:text-text-3 focus-visible:outline-offset-0 max-sm:text-base"
        />
        <Button type="submit" look="primary" disabled={!ready} busy={isPending} title="Ctrl+Enter" icon="send" className="h-9">
          <span className="max-sm:sr-only">{question ? "Answer" : "Send"}</span>
        </Button>
      </form>
    </section>
  );
}
