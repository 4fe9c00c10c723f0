import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { Badge, Diffstat, State, Verdict } from "../../parts/State";
import { count, duration, money } from "../../parts/words";
import { amountOf, type Column, type Comparison, type Folded, least, type Measure, nameIn, nameOf } from "./comparison";
import { Choose } from "./Choose";

/** Attempts beside each other, measure by measure; the least of each stands out. */
export function Matrix({ comparison, columns, picked, onPick }: { comparison: Comparison; columns: Folded[]; picked: (string | undefined)[]; onPick: (id: string) => void }) {
  const several = comparison.tasks.length > 1;
  return (
    <div tabIndex={0} role="region" aria-label="Attempts side by side" className="scroll-quiet relative shrink-0 overflow-x-auto focus-visible:-outline-offset-2">
      <table className="w-max min-w-full border-collapse text-sm">
        <thead>
          {several && (
            <tr>
              <Head />
              {comparison.tasks.map((task) => {
                const width = columns.filter((one) => one.task.task === task.task).length;
                return width > 0 ? (
                  <th key={task.task} scope="colgroup" colSpan={width} className="border-b border-l border-line px-3 pt-3 pb-1 text-left font-semibold">
                    <Link to="/tasks/$task" params={{ task: task.task }} className="line-clamp-2 max-w-80 hover:underline">
                      {task.title}
                    </Link>
                  </th>
                ) : null;
              })}
            </tr>
          )}
          <tr>
            <Head>
              <span className="sr-only">Measure</span>
            </Head>
            {columns.map((one) => (
              <AttemptHead key={one.column.id} folded={one} name={nameIn(comparison, one.column)} picked={picked.includes(one.column.id)} onPick={() => onPick(one.column.id)} />
            ))}
          </tr>
        </thead>
        <tbody>
          <Row name="Verdict" columns={columns}>
            {(column) => (column.verdict ? <Verdict verdict={column.verdict} /> : <span className="text-text-3">none yet</span>)}
          </Row>
          <Row name="Tests" columns={columns}>
            {(column) => <Tests column={column} />}
          </Row>
          <Row name="Files" columns={columns}>
            {(column) => <span className="tabular">{column.files}</span>}
          </Row>
          <Row name="Lines" columns={columns} measure="lines">
            {(column) => <Diffstat insertions={column.insertions} deletions={column.deletions} />}
          </Row>
          <Row name="Cost" columns={columns} measure="cost">
            {(column) => <span className="tabular">{money(column.cost)}</span>}
          </Row>
          <Row name="Time" columns={columns} measure="seconds">
            {(column) => <span className="tabular">{duration(column.seconds)}</span>}
          </Row>
          <Row name="Turns" columns={columns} measure="turns">
            {(column) => <span className="tabular">{count(column.turns)}</span>}
          </Row>
          <Row name="In its own words" columns={columns}>
            {(column) => <p className="line-clamp-3 max-w-72 text-xs whitespace-normal text-text-2">{column.summary ?? column.reason ?? "–"}</p>}
          </Row>
          <Row name="Pull request" columns={columns}>
            {(column, { task }) => <Choose task={task} column={column} name={nameIn(comparison, column)} />}
          </Row>
        </tbody>
      </table>
    </div>
  );
}

function Head({ children }: { children?: ReactNode }) {
  return <td className="sticky left-0 z-10 w-36 min-w-36 bg-ground max-sm:w-24 max-sm:min-w-24">{children}</td>;
}

function AttemptHead({ folded: { column, same }, name, picked, onPick }: { folded: Folded; name: string; picked: boolean; onPick: () => void }) {
  return (
    <th scope="col" className={cls("border-l border-line px-3 pt-3 pb-2 text-left align-top font-normal", column.chosen && "bg-selected")}>
      <div className="flex items-center gap-2">
        <Link to="/tasks/$task/review" params={{ task: column.task }} search={{ attempt: column.ordinal }} className="font-semibold hover:underline">
          {nameOf(column)}
        </Link>
        {column.chosen && <Badge tone="good">In the pull request</Badge>}
        {column.rank === 1 && !column.chosen && <Badge>First</Badge>}
      </div>
      <p className="text-xs text-text-2">{column.model ?? column.engine}</p>
      {same.length > 0 && (
        <p className="mt-0.5 flex items-center gap-1 text-xs text-text-2">
          <Icon name="layers" size={12} />
          {same.map(nameOf).join(", ")} made the same change
        </p>
      )}
      {column.same_as !== null && <p className="mt-0.5 text-xs text-text-2">The same change as {column.same_as.replace(/^.*-/, "attempt ")}</p>}
      <div className="mt-1.5 flex items-center gap-3 text-xs">
        {!["done", "failed", "cancelled"].includes(column.state) && <State state={column.state} />}
        <label className="flex cursor-pointer items-center gap-1.5">
          <input type="checkbox" checked={picked} disabled={column.files === 0} onChange={onPick} className="size-3.5 accent-accent" aria-label={`${name} side by side`} />
          Side by side
        </label>
      </div>
    </th>
  );
}

function Row({ name, columns, measure, children }: { name: string; columns: Folded[]; measure?: Measure; children: (column: Column, folded: Folded) => ReactNode }) {
  const best = measure ? least(columns, measure) : null;
  return (
    <tr className="border-t border-line">
      <th scope="row" className="sticky left-0 z-10 bg-ground px-4 py-2 text-left text-xs font-medium text-text-2 max-sm:px-3">
        {name}
      </th>
      {columns.map((folded) => {
        const won = measure !== undefined && best !== null && amountOf(folded.column, measure) === best;
        return (
          <td key={folded.column.id} className={cls("border-l border-line px-3 py-2 align-top", folded.column.chosen && "bg-selected", won && "font-semibold")}>
            <span className="inline-flex items-center gap-1.5">
              {children(folded.column, folded)}
              {won && (
                <span className="text-2xs font-medium text-good" title="The least of all that are ready">
                  least
                </span>
              )}
            </span>
          </td>
        );
      })}
    </tr>
  );
}

function Tests({ column }: { column: Column }) {
  if (!column.tests) return <span className="text-text-3">–</span>;
  const { fixed, new: added, regressed, still_failing: still, flaky, touched } = column.tests;
  const parts = [
    { amount: fixed, words: "fixed", tone: "text-good" },
    { amount: added, words: "new", tone: "text-good" },
    { amount: regressed, words: "regressed", tone: "font-medium text-bad" },
    { amount: still, words: "still failing", tone: "text-bad" },
    { amount: flaky, words: "flaky", tone: "text-warn" },
    { amount: touched, words: "of the base touched", tone: "text-warn" },
  ].filter((part) => part.amount > 0);
  if (parts.length === 0) return <span className="text-text-2">as before</span>;
  return (
    <span className="tabular flex flex-col text-xs">
      {parts.map((part) => (
        <span key={part.words} className={part.tone}>
          {part.amount} {part.words}
        </span>
      ))}
    </span>
  );
}
