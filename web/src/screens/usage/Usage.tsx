import { useQuery } from "@tanstack/react-query";
import { createLazyRoute, Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";

import { type Schema, api, got } from "../../api/client";
import { buttonClass } from "../../parts/Button";
import { cls } from "../../parts/class";
import { Select } from "../../parts/Field";
import { useNow } from "../../parts/now";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { Table } from "../../parts/Section";
import { count, duration, money } from "../../parts/words";
import { repositoriesQuery } from "../home/choices";
import { Chart, colourOf, type Series } from "./Chart";

type Row = Schema<"UsageRow">;

const MOST = 6; // groups with a colour of their own; the others are summed up

const MEASURES = {
  cost: { label: "Cost", of: (rows: Row[]) => sum(rows, (row) => row.cost ?? 0), words: money, stacked: true },
  tokens: { label: "Tokens", of: (rows: Row[]) => sum(rows, (row) => row.input_tokens + row.output_tokens), words: count, stacked: true },
  tasks: { label: "Attempts", of: (rows: Row[]) => sum(rows, (row) => row.attempts), words: (value: number) => String(Math.round(value)), stacked: true },
  success: { label: "Success", of: success, words: (value: number) => `${Math.round(value * 100)}%`, stacked: false },
  time: { label: "Time", of: (rows: Row[]) => sum(rows, (row) => row.seconds), words: duration, stacked: true },
} as const;

type Measure = keyof typeof MEASURES;

const GROUPS = {
  repository: { label: "Repository", of: (row: Row) => row.repository },
  engine: { label: "Engine", of: (row: Row) => row.engine },
  model: { label: "Model", of: (row: Row) => row.model ?? `${row.engine}, no model` },
} as const;

type Group = keyof typeof GROUPS;

function sum(rows: Row[], of: (row: Row) => number): number {
  return rows.reduce((total, row) => total + of(row), 0);
}

/** The share of ended attempts that came to a ready change or an answer; null where none has ended. */
function success(rows: Row[]): number | null {
  const ended = sum(rows, (row) => row.ready + row.drafts + row.failed);
  return ended === 0 ? null : sum(rows, (row) => row.ready) / ended;
}

function groupsOf(rows: Row[], by: Group, measure: Measure): { name: string; rows: Row[] }[] {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const name = GROUPS[by].of(row);
    found.set(name, [...(found.get(name) ?? []), row]);
  }
  const weigh = measure === "success" ? MEASURES.tasks.of : MEASURES[measure].of;
  return [...found].map(([name, own]) => ({ name, rows: own })).toSorted((a, b) => (weigh(b.rows) ?? 0) - (weigh(a.rows) ?? 0));
}

function Usage() {
  const search = useSearch({ from: "/usage" });
  const navigate = useNavigate();
  const days = search.days ?? 30;
  const by: Group = search.by === "engine" || search.by === "model" ? search.by : "repository";
  const measure: Measure = search.show !== undefined && search.show in MEASURES ? (search.show as Measure) : "cost";
  const now = useNow();
  const since = new Date(now - (days - 1) * 86_400_000).toISOString().slice(0, 10);
  const usage = useQuery({
    queryKey: ["usage", since],
    queryFn: ({ signal }) => got(api.GET("/api/v1/usage", { params: { query: { since } }, signal })),
    placeholderData: (before) => before,
  });
  const names = useQuery(repositoriesQuery).data?.items;
  const change = (part: Partial<typeof search>) => void navigate({ to: "/usage", search: (before) => ({ ...before, ...part }), replace: true });
  const rows = usage.data?.rows ?? [];
  const nameOf = (group: string) => (by === "repository" ? (names?.find((one) => one.key === group)?.name ?? group) : group);

  return (
    <div className="scroll-quiet h-full overflow-y-auto">
      <div className="mx-auto flex w-full max-w-6xl flex-col gap-5 px-4 py-5 max-sm:px-3">
        <header className="flex flex-wrap items-center justify-between gap-3">
          <h1 className="text-lg font-semibold">Usage</h1>
          <div className="flex flex-wrap gap-2">
            <Select aria-label="Days" className="w-auto" value={days} onChange={(event) => change({ days: Number(event.target.value) })}>
              {[7, 30, 90, 365].map((one) => (
                <option key={one} value={one}>
                  {one} days
                </option>
              ))}
            </Select>
            <Select aria-label="Group by" className="w-auto" value={by} onChange={(event) => change({ by: event.target.value })}>
              {Object.entries(GROUPS).map(([name, group]) => (
                <option key={name} value={name}>
                  by {group.label.toLowerCase()}
                </option>
              ))}
            </Select>
          </div>
        </header>
        {usage.error && <ErrorBox error={usage.error} again={() => void usage.refetch()} />}
        {usage.isPending && !usage.error && <Loading lines={6} />}
        {usage.data && rows.length === 0 && (
          <Empty
            icon="chart"
            title="Nothing was used yet"
            action={
              <Link to="/" search={{ compose: true }} className={buttonClass({ look: "primary" })}>
                Hand in a task
              </Link>
            }
          >
            What tasks cost, how long they took and how many came to a ready change is summed up here by day.
          </Empty>
        )}
        {rows.length > 0 && (
          <>
            <Measures rows={rows} measure={measure} onChoose={(show) => change({ show })} />
            <Shown rows={rows} by={by} measure={measure} days={days} since={since} nameOf={nameOf} />
          </>
        )}
      </div>
    </div>
  );
}

/** The totals; the chosen one is what the chart shows. */
function Measures({ rows, measure, onChoose }: { rows: Row[]; measure: Measure; onChoose: (measure: Measure) => void }) {
  return (
    <div role="group" aria-label="Show" className="grid grid-cols-2 gap-2 sm:grid-cols-5">
      {(Object.keys(MEASURES) as Measure[]).map((name) => {
        const { label, of, words } = MEASURES[name];
        const value = of(rows);
        return (
          <button
            key={name}
            type="button"
            aria-pressed={name === measure}
            onClick={() => onChoose(name)}
            className={cls("rounded-md px-3 py-2.5 text-left", name === measure ? "bg-selected outline outline-accent" : "bg-raised shadow-raised hover:bg-hover")}
          >
            <span className="block text-xs text-text-2">{label}</span>
            <span className="tabular block text-xl font-semibold tracking-tight">{value === null ? "–" : words(value)}</span>
          </button>
        );
      })}
    </div>
  );
}

function Shown({ rows, by, measure, days, since, nameOf }: { rows: Row[]; by: Group; measure: Measure; days: number; since: string; nameOf: (group: string) => string }) {
  const { of, words, stacked, label } = MEASURES[measure];
  const groups = useMemo(() => groupsOf(rows, by, measure), [rows, by, measure]);
  const dates = useMemo(() => Array.from({ length: days }, (_, day) => Date.parse(`${since}T00:00:00Z`) / 1000 + day * 86_400), [days, since]);
  const series = useMemo((): Series[] => {
    const drawn = groups.length > MOST ? [...groups.slice(0, MOST), { name: "others", rows: groups.slice(MOST).flatMap((group) => group.rows) }] : groups;
    return drawn.map((group) => ({
      name: group.name,
      values: dates.map((date) => {
        const day = new Date(date * 1000).toISOString().slice(0, 10);
        const own = group.rows.filter((row) => row.day === day);
        return own.length === 0 ? (stacked ? 0 : null) : of(own);
      }),
    }));
  }, [groups, dates, of, stacked]);
  return (
    <>
      <div className="rounded-md bg-raised p-3 shadow-raised">
        <Chart days={dates} series={series} stacked={stacked} words={words} label={`${label} by day and ${by}; the table has the sums`} />
      </div>
      <Table
        label={`Usage by ${by}`}
        head={[
          { name: GROUPS[by].label },
          { name: "Tasks", right: true },
          { name: "Attempts", right: true },
          { name: "Success", right: true },
          { name: "Ready / draft / failed", right: true },
          { name: "Cost", right: true },
          { name: "Tokens in / out", right: true },
          { name: "Time", right: true },
        ]}
      >
        {groups.map((group, place) => (
          <tr key={group.name}>
            <td className="max-w-72" aria-label={nameOf(group.name)}>
              <span className="flex items-center gap-2">
                <span aria-hidden="true" className="size-2.5 shrink-0 rounded-sm" style={{ background: colourOf(place) }} />
                <span className="truncate font-medium" title={group.name}>
                  {nameOf(group.name)}
                </span>
              </span>
            </td>
            <td className="text-right">{sum(group.rows, (row) => row.tasks)}</td>
            <td className="text-right">{sum(group.rows, (row) => row.attempts)}</td>
            <td className="text-right">{percent(success(group.rows))}</td>
            <td className="text-right whitespace-nowrap">
              <span className="text-good">{sum(group.rows, (row) => row.ready)}</span> / <span className="text-warn">{sum(group.rows, (row) => row.drafts)}</span> /{" "}
              <span className="text-bad">{sum(group.rows, (row) => row.failed)}</span>
            </td>
            <td className="text-right">{money(group.rows.every((row) => row.cost === null) ? null : MEASURES.cost.of(group.rows))}</td>
            <td className="text-right whitespace-nowrap">
              {count(sum(group.rows, (row) => row.input_tokens))} / {count(sum(group.rows, (row) => row.output_tokens))}
            </td>
            <td className="text-right whitespace-nowrap">{duration(MEASURES.time.of(group.rows))}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

const percent = (share: number | null) => (share === null ? "–" : `${Math.round(share * 100)}%`);

export const Route = createLazyRoute("/usage")({ component: Usage });
