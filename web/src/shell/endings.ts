import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";

import { onNews } from "../api/news";
import { notify } from "../api/notify";
import { queries, taskQuery } from "../api/queries";
import { headline, repositoryName } from "../parts/words";

const WORDS: Record<string, string> = { done: "Done", failed: "Failed", waiting: "Needs you" };

/** A task that ends or is stuck tells the person, where the browser may. */
export function useTellEndings() {
  const navigate = useNavigate();
  useEffect(
    () =>
      onNews((happened) => {
        const words = happened.state === null ? undefined : WORDS[happened.state];
        if (happened.kind !== "moved" || words === undefined || happened.log !== happened.task) return;
        void queries.fetchQuery({ ...taskQuery(happened.task), staleTime: 0 }).then(
          (task) => {
            // What waits for a forge or a model goes on by itself.
            if (task.state === "waiting" && !/^(an answer|a person)/.test(task.waiting_for ?? "")) return;
            const reason = task.state === "waiting" ? task.waiting_for : task.reason;
            notify(`${words}: ${headline(task.prompt)}`, [repositoryName(task.repository), reason].filter(Boolean).join(" · "), task.id, () => void navigate({ to: "/tasks/$task", params: { task: task.id } }));
          },
          () => undefined,
        );
      }),
    [navigate],
  );
}
