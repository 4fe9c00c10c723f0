import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";

import type { Attempt } from "../../api/queries";
import { Button } from "../../parts/Button";
import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { Badge, type Tone, Verdict } from "../../parts/State";
import { duration, plural } from "../../parts/words";
import { type Proof, type TestRow, proofQuery } from "./change";
import { CheckLog } from "./CheckLog";

const SIDES = { base: "Base", head: "Change", judged: "Change, base's tests", "new-tests": "Base, new tests" } as const;
type Column = "base" | "head" | "judged" | "new_tests";
const COLUMNS: { name: Column; words: string }[] = [
  { name: "base", words: "Base" },
  { name: "head", words: "Change" },
  { name: "judged", words: "Change, base's tests" },
  { name: "new_tests", words: "Base, new tests" },
];

/** The proof of an attempt: what was run, where, with what result, test by test. */
export function Receipt({ attempt }: { attempt: Attempt }) {
  const proof = useQuery(proofQuery(attempt.id, attempt.receipt !== null));
  const [log, setLog] = useState<{ check: number; line: number | null } | null>(null);
  if (attempt.receipt === null) {
    return (
      <Empty icon="check" title="Nothing was verified yet">
        When the attempt has a change, its tests run in a clean sandbox, on the base and on the change. What they come to stands here.
      </Empty>
    );
  }
  if (proof.error) return <ErrorBox error={proof.error} again={() => void proof.refetch()} className="m-4" />;
  if (!proof.data) return <Loading lines={8} />;
  const shown = proof.data.checks.find((check) => check.number === log?.check);
  return (
    <div className="scroll-quiet mx-auto flex h-full w-full max-w-5xl flex-col gap-5 overflow-y-auto p-4">
      <header className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Verdict verdict={proof.data.verdict} />
        <p className="min-w-0 flex-1 basis-60 text-base">{proof.data.reason}</p>
      </header>
      <Checks proof={proof.data} onLog={(check) => setLog({ check, line: null })} />
      <Touched proof={proof.data} />
      <Tests proof={proof.data} onLog={(check, line) => setLog({ check, line })} />
      <Versions proof={proof.data} />
      {log && shown && <CheckLog attempt={attempt.id} check={shown} line={log.line} onClose={() => setLog(null)} />}
    </div>
  );
}

function Checks({ proof, onLog }: { proof: Proof; onLog: (check: number) => void }) {
  if (proof.checks.length === 0) return null;
  return (
    <section aria-labelledby="checks" className="shrink-0">
      <h2 id="checks" className="mb-1.5 text-sm font-semibold">
        Runs
      </h2>
      <ul className="divide-y divide-line rounded-md bg-raised shadow-raised">
        {proof.checks.map((check) => (
          <li key={check.number} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2">
            <span className="w-52 shrink-0 font-medium">
              {SIDES[check.side]}
              {again(proof, check) > 1 && <span className="font-normal text-text-3"> · run {again(proof, check)}</span>}
            </span>
            <code className="min-w-0 flex-1 basis-40 truncate font-mono text-xs text-text-2" title={check.command}>
              {check.command}
            </code>
            {check.problem ? (
              <Badge tone="warn">{check.problem}</Badge>
            ) : (
              <span className="tabular text-xs">
                {check.passed > 0 && <span className="text-good">{check.passed} passed</span>}
                {check.failed > 0 && <span className="ml-2 font-medium text-bad">{check.failed} failed</span>}
                {check.skipped > 0 && <span className="ml-2 text-text-3">{check.skipped} skipped</span>}
                {check.passed + check.failed + check.skipped === 0 && <span className={check.exit_code === 0 ? "text-good" : "text-bad"}>exit {check.exit_code ?? "by the time limit"}</span>}
              </span>
            )}
            <span className="tabular w-14 text-right text-xs text-text-3">{duration(check.seconds)}</span>
            <Button size="sm" look="quiet" icon="terminal" disabled={!check.has_log} onClick={() => onLog(check.number)}>
              Log
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Which run of its side it is: repeats show what is flaky. */
const again = (proof: Proof, check: Proof["checks"][number]) => proof.checks.filter((one) => one.side === check.side && one.number <= check.number).length;

function Touched({ proof }: { proof: Proof }) {
  if (proof.test_changes.length === 0) return null;
  return (
    <section aria-labelledby="touched" className="shrink-0 rounded-md bg-warn-soft px-3 py-2.5">
      <h2 id="touched" className="text-sm font-semibold">
        It touches {plural(proof.test_changes.length, "test or test setting", "tests or test settings")} of the base
      </h2>
      <p className="text-xs text-text-2">They prove nothing of the change: the base's own were run in their place.</p>
      <ul className="mt-1.5 flex flex-col gap-0.5">
        {proof.test_changes.map((change) => (
          <li key={change.path + change.what} className="flex gap-2 font-mono text-xs">
            <span className="w-14 shrink-0 text-text-2">{change.what}</span>
            {change.path}
          </li>
        ))}
      </ul>
    </section>
  );
}

type Filter = "all" | "red" | "fixed" | "new" | "regressed" | "flaky";

function choices(proof: Proof): { name: Filter; words: string; tests: TestRow[] }[] {
  const named = (names: string[]) => {
    const wanted = new Set(names);
    return proof.tests.filter((test) => wanted.has(test.name));
  };
  const red = proof.tests.filter((test) => [test.base, test.head, test.judged, test.new_tests].includes("failed"));
  return [
    { name: "all" as const, words: "All", tests: proof.tests },
    { name: "red" as const, words: "Failed somewhere", tests: red },
    { name: "fixed" as const, words: "Fixed", tests: named(proof.fixed) },
    { name: "new" as const, words: "New", tests: named(proof.new) },
    { name: "regressed" as const, words: "Regressed", tests: named(proof.regressed) },
    { name: "flaky" as const, words: "Flaky", tests: proof.tests.filter((test) => test.flaky) },
  ].filter((choice) => choice.name === "all" || choice.tests.length > 0);
}

function Tests({ proof, onLog }: { proof: Proof; onLog: (check: number, line: number) => void }) {
  const all = useMemo(() => choices(proof), [proof]);
  const [filter, setFilter] = useState<Filter>("all");
  const scroller = useRef<HTMLDivElement>(null);
  const tests = (all.find((one) => one.name === filter) ?? all[0])?.tests ?? [];
  const columns = COLUMNS.filter(({ name }) => proof.tests.some((test) => test[name] !== null));
  const virtual = useVirtualizer({ count: tests.length, getScrollElement: () => scroller.current, estimateSize: () => 36, overscan: 20, getItemKey: (at) => tests[at]?.name ?? at });
  if (proof.tests.length === 0) return <p className="text-sm text-text-2">The runner gives no result for each test; its exit status counts.</p>;
  const grid = { gridTemplateColumns: `minmax(0, 1fr) repeat(${columns.length}, minmax(4.5rem, 8rem))` };
  return (
    <section aria-labelledby="tests" className="shrink-0">
      <div className="mb-1.5 flex flex-wrap items-center gap-1.5">
        <h2 id="tests" className="mr-2 text-sm font-semibold">
          {plural(proof.total, "test")}
        </h2>
        {all.length > 1 &&
          all.map((one) => (
            <Button key={one.name} size="sm" look="quiet" aria-pressed={one.name === filter} onClick={() => setFilter(one.name)} className={cls(one.name === filter && "bg-pressed text-text!")}>
              {one.words} <span className="tabular text-text-3">{one.tests.length}</span>
            </Button>
          ))}
      </div>
      <div ref={scroller} role="table" aria-label="Tests on the base and on the change" aria-rowcount={tests.length + 1} tabIndex={0} className="scroll-quiet max-h-[34rem] overflow-y-auto rounded-md bg-raised shadow-raised focus-visible:-outline-offset-2">
        <div role="rowgroup" className="sticky top-0 z-10 bg-raised">
          <div role="row" className="grid items-center border-b border-line px-3 py-1.5 text-xs text-text-2" style={grid}>
            <span role="columnheader">Test</span>
            {columns.map((column) => (
              <span key={column.name} role="columnheader" className="text-center">
                {column.words}
              </span>
            ))}
          </div>
        </div>
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const test = tests[item.index];
            if (!test) return null;
            return (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                role="row"
                className="absolute inset-x-0 grid items-start border-b border-line px-3 py-1.5"
                style={{ ...grid, transform: `translateY(${item.start}px)` }}
              >
                <Test test={test} onLog={onLog} />
                {columns.map((column) => (
                  <span key={column.name} role="cell" className="flex justify-center">
                    <Outcome outcome={test[column.name]} />
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}

function Test({ test, onLog }: { test: TestRow; onLog: (check: number, line: number) => void }) {
  const [open, setOpen] = useState(false);
  const more = test.message !== "" || test.places.length > 0;
  return (
    <div role="cell" className="min-w-0 pr-3">
      {more ? (
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="flex max-w-full items-center gap-1 text-left font-mono text-xs hover:underline">
          <Icon name={open ? "down" : "right"} size={12} className="shrink-0 text-text-3" />
          <span className="min-w-0 break-all">{test.name}</span>
        </button>
      ) : (
        <span className="block pl-4 font-mono text-xs break-all">{test.name}</span>
      )}
      {test.flaky && <Badge tone="warn">Its runs disagree</Badge>}
      {open && (
        <div className="mt-1.5 ml-4 flex flex-col items-start gap-1.5">
          {test.message && <pre className="scroll-quiet max-h-48 w-full overflow-auto rounded-sm bg-code p-2 font-mono text-xs whitespace-pre-wrap">{test.message}</pre>}
          {test.places.map((place) => (
            <Button key={place.check} size="sm" icon="terminal" onClick={() => onLog(place.check, place.line)}>
              Log of run {place.check}, line {place.line}
            </Button>
          ))}
        </div>
      )}
    </div>
  );
}

const OUTCOMES: Record<string, { tone: Tone; words: string }> = {
  passed: { tone: "good", words: "passed" },
  failed: { tone: "bad", words: "failed" },
  skipped: { tone: "plain", words: "skipped" },
  missing: { tone: "warn", words: "missing" },
};

function Outcome({ outcome }: { outcome: string | null }) {
  if (outcome === null) return <span className="text-text-3">–</span>;
  const { tone, words } = OUTCOMES[outcome] ?? { tone: "plain" as const, words: outcome };
  return <Badge tone={tone}>{words}</Badge>;
}

function Versions({ proof }: { proof: Proof }) {
  const all = Object.entries(proof.versions);
  if (all.length === 0) return null;
  return (
    <p className="shrink-0 text-xs text-text-3">
      In the sandbox: {all.map(([name, version]) => `${name} ${version}`).join(", ")}
    </p>
  );
}
