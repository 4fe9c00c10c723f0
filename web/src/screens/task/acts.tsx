import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { api, got } from "../../api/client";
import { Failure } from "../../api/problem";
import { type Attempt, isFinal, queries, type Task, taskQuery, useMay } from "../../api/queries";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Field, Select, TextArea } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { tell, tellFailure } from "../../parts/Toast";
import type { Turn } from "./attempt";
import { modelsQuery } from "../home/choices";

type Act = "pause" | "resume" | "cancel" | "retry" | "deliver";

const DONE: Record<Act, string> = {
  pause: "It is held after the turn in flight",
  resume: "It goes on",
  cancel: "It is stopped within a second",
  retry: "Handed in again",
  deliver: "The pull request is brought up to date",
};

const PATHS: Record<Exclude<Act, "retry">, "/api/v1/tasks/{task}/pause" | "/api/v1/tasks/{task}/resume" | "/api/v1/tasks/{task}/cancel" | "/api/v1/tasks/{task}/deliver"> = {
  pause: "/api/v1/tasks/{task}/pause",
  resume: "/api/v1/tasks/{task}/resume",
  cancel: "/api/v1/tasks/{task}/cancel",
  deliver: "/api/v1/tasks/{task}/deliver",
};

/** What can be done with a task as it stands. */
export function useActs(task: Task | undefined) {
  const navigate = useNavigate();
  const act = useMutation({
    mutationFn: (which: Act): Promise<Task> => {
      const asked = { params: { path: { task: task?.id ?? "" } } };
      return got(which === "retry" ? api.POST("/api/v1/tasks/{task}/retry", asked) : api.POST(PATHS[which], asked));
    },
    onSuccess: (now, which) => {
      tell(DONE[which]);
      queries.setQueryData(taskQuery(now.id).queryKey, now);
      if (which === "retry") void navigate({ to: "/tasks/$task", params: { task: now.id } });
    },
    onError: tellFailure,
  });
  const { write } = useMay();
  const final = task !== undefined && isFinal(task.state);
  const paused = task?.attempts.some((one) => one.state === "waiting" && /paused|resume/.test(one.waiting_for ?? "")) ?? false;
  return {
    busy: act.isPending,
    run: (which: Act) => act.mutate(which),
    can: { write, pause: write && !paused && (task?.attempts.some((one) => atWork(one) || one.state === "waiting") ?? false), resume: write && !final && paused, cancel: write && !final, retry: write && final },
  };
}

const POLL_MS = 300;
const PATIENCE_MS = 120_000;

/** Whether a turn of it may be under way. */
const atWork = (attempt: Attempt) => /^(queued|preparing|running)$/.test(attempt.state);

/** Holds an attempt and waits until it stands still. */
async function hold(task: string, attempt: number): Promise<void> {
  await got(api.POST("/api/v1/tasks/{task}/pause", { params: { path: { task } }, body: { attempt } }));
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    const now = await queries.fetchQuery({ ...taskQuery(task), staleTime: 0 });
    const state = now.attempts[attempt - 1]?.state;
    if (!state || state === "waiting" || isFinal(state)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Failure(-1, "It does not stand still yet", "It is being paused: take it back once it waits.");
}

export interface Steering {
  what: "fork" | "rewind";
  turn: Turn;
}

/** Take an attempt back to a turn, or let one more go on from there. */
export function SteerDialog({ task, ordinal, attempt, steering, onClose }: { task: Task; ordinal: number; attempt: Attempt; steering: Steering; onClose: () => void }) {
  const [words, setWords] = useState("");
  const [model, setModel] = useState("");
  const models = useQuery(modelsQuery).data?.items ?? [];
  const navigate = useNavigate();
  const { what, turn } = steering;
  const [pausing, setPausing] = useState(false);
  const first = what === "rewind" && (pausing || atWork(attempt));
  const send = useMutation({
    mutationFn: async () => {
      if (first) {
        setPausing(true); // what the button says holds until it is done, though the attempt stands still before
        await hold(task.id, ordinal).finally(() => setPausing(false));
      }
      const params = { path: { task: task.id } };
      const body = { turn: turn.turn, attempt: ordinal, text: words.trim() };
      return got(what === "fork" ? api.POST("/api/v1/tasks/{task}/fork", { params, body: { ...body, model: model || null } }) : api.POST("/api/v1/tasks/{task}/rewind", { params, body }));
    },
    onSuccess: (now) => {
      queries.setQueryData(taskQuery(task.id).queryKey, now);
      tell(what === "fork" ? `Attempt ${now.attempts.length} goes on from turn ${turn.turn}` : `Taken back to turn ${turn.turn}`);
      onClose();
      if (what === "fork") void navigate({ to: "/tasks/$task", params: { task: task.id }, search: { attempt: now.attempts.length } });
    },
  });
  return (
    <Dialog
      title={what === "fork" ? `Fork from turn ${turn.turn}` : `Take back to turn ${turn.turn}`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" busy={send.isPending} onClick={() => send.mutate()}>
            {what === "fork" ? "Fork" : first ? "Pause and take back" : "Take back"}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <p className="text-text-2">
          {what === "fork"
            ? "One more attempt begins with conversation and files as they were after this turn. This one is left as it is."
            : "Conversation and files go back together to how they were after this turn. What came after stays in the log and counts no more."}
        </p>
        {first && (
          <p className="text-text-2">It is at work. It is paused first, its turn in flight is given up, and it goes on from there at once.{task.attempts.length > 1 && " Other attempts work on meanwhile."}</p>
        )}
        {send.error && <ErrorBox error={send.error} />}
        {what === "fork" && attempt.engine === "native" && (
          <Field label="Model">
            {(given) => (
              <Select {...given} value={model} onChange={(event) => setModel(event.target.value)}>
                <option value="">The same: {attempt.model}</option>
                {models.map((one) => (
                  <option key={one.name} value={one.name}>
                    {one.name} ({one.model})
                  </option>
                ))}
              </Select>
            )}
          </Field>
        )}
        <Field label="Say with it" hint="What should be different this time. It may be left out.">
          {(given) => <TextArea {...given} value={words} onChange={(event) => setWords(event.target.value)} />}
        </Field>
      </div>
    </Dialog>
  );
}
