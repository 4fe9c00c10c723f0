import { useQuery } from "@tanstack/react-query";
import { createLazyRoute, Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import { buttonClass } from "../../parts/Button";
import { Check } from "../../parts/Field";
import { Icon } from "../../parts/Icon";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { plural } from "../../parts/words";
import { useFresh } from "../review/change";
import { comparisonQuery, fold, type TaskColumns } from "./comparison";
import { Matrix } from "./Matrix";

const Pair = lazy(() => import("./Pair").then((module) => ({ default: module.Pair })));

export const Route = createLazyRoute("/compare")({ component: Compare });

/** Why the first is the first, with attempts called as everywhere here. */
const spoken = ({ task, reasons }: TaskColumns) => reasons.map((reason) => reason.replaceAll(`${task}-`, "attempt "));

function Compare() {
  const search = Route.useSearch();
  const navigate = useNavigate({ from: "/compare" });
  const tasks = (search.tasks ?? "").split(",").filter(Boolean);
  const comparison = useQuery(comparisonQuery(tasks));
  const [all, setAll] = useState(false);
  useFresh(tasks);
  if (tasks.length === 0) {
    return (
      <Empty
        icon="columns"
        title="Nothing to compare yet"
        action={
          <Link to="/" className={buttonClass({})}>
            All tasks
          </Link>
        }
      >
        Give a task several attempts, or choose tasks in the list: their changes, proofs and costs stand here side by side.
      </Empty>
    );
  }
  if (comparison.error) return <ErrorBox error={comparison.error} again={() => void comparison.refetch()} className="m-4" />;
  if (!comparison.data) return <Loading lines={10} />;

  const columns = fold(comparison.data, all);
  const everyone = comparison.data.tasks.flatMap((task) => task.attempts);
  const identical = everyone.filter((one) => one.same_as !== null).length;
  const left = everyone.find((one) => one.id === search.left);
  const right = everyone.find((one) => one.id === search.right);
  const pick = (id: string) => {
    const chosen = [search.left, search.right].filter((one) => one !== undefined);
    const next = chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen.slice(-1), id];
    void navigate({ search: (before) => ({ ...before, left: next[0], right: next[1] }), replace: true });
  };
  const only = comparison.data.tasks.length === 1 ? comparison.data.tasks[0] : undefined;
  return (
    <div className="scroll-quiet flex h-full flex-col overflow-y-auto">
      <header className="flex shrink-0 flex-wrap items-center gap-x-4 gap-y-1 border-b border-line bg-raised px-4 py-2.5 max-sm:px-3">
        <div className="min-w-0 flex-1 max-sm:basis-full">
          <h1 className="flex items-center gap-2 text-lg leading-6 font-semibold">
            {only && (
              <Link to="/tasks/$task" params={{ task: only.task }} aria-label="Back to the task" className="-ml-1 rounded p-1 text-text-3 hover:bg-hover hover:text-text">
                <Icon name="left" />
              </Link>
            )}
            <span className="truncate">{only ? only.title : `${plural(comparison.data.tasks.length, "task")} side by side`}</span>
          </h1>
          {only && only.reasons.length > 0 && <p className="text-xs text-text-2 sm:pl-7">First in the order: {spoken(only).join("; ")}</p>}
        </div>
        {identical > 0 && <Check label={`Show ${plural(identical, "identical change")} apart`} checked={all} onChange={(event) => setAll(event.target.checked)} />}
      </header>
      <Matrix comparison={comparison.data} columns={columns} picked={[search.left, search.right]} onPick={pick} />
      <Suspense fallback={<Loading lines={8} />}>
        {left && right ? (
          <Pair left={left} right={right} comparison={comparison.data} />
        ) : (
          <p className="px-4 py-6 text-center text-sm text-text-2">
            {left ? "Choose one more attempt to see the two side by side." : everyone.length > 1 ? "Choose two attempts to see them side by side, file by file." : "There is one attempt alone; a task can have up to eight."}
          </p>
        )}
      </Suspense>
    </div>
  );
}
