import { useQuery } from "@tanstack/react-query";

import { api, got } from "../../api/client";
import { Section } from "../../parts/Section";
import { ago, bytes, money } from "../../parts/words";
import { Asked } from "./lists";

type Lines = [name: string, value: string][];

/** What holds where a task or an environment says nothing else. */
export function Limits() {
  const limits = useQuery({ queryKey: ["limits"], queryFn: () => got(api.GET("/api/v1/limits")) });
  return (
    <Asked query={limits}>
      {({ attempt, sandbox, ...house }) => (
        <div className="grid gap-6 sm:grid-cols-2">
          <Lines
            title="Of an attempt"
            lines={[
              ["Time", `${attempt.minutes} minutes`],
              ["Turns", String(attempt.turns)],
              ["Tokens", (attempt.tokens ?? 0).toLocaleString()],
              ["Cost", attempt.cost ? money(attempt.cost) : "no cap"],
              ["Attempts of a task", String(house.attempts)],
            ]}
          />
          <Lines
            title="Of a sandbox"
            lines={Object.entries(sandbox).map(([name, value]) => [
              name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase()),
              typeof value === "number" && /memory|size|disk/.test(name) ? bytes(value) : String(value ?? "none").toLocaleString(),
            ])}
          />
          <Lines
            title="The house"
            lines={[
              ["Data", house.data],
              ["Database", house.database],
              ["Started", ago(house.started)],
              ["A forge is waited for", `${house.give_up_hours} hours`],
            ]}
          />
          <Section title="The wall" about="What stands around every sandbox of this machine.">
            <p className="rounded-md bg-raised px-3 py-3 text-sm text-text-2 shadow-raised">{house.wall}</p>
          </Section>
        </div>
      )}
    </Asked>
  );
}

function Lines({ title, lines }: { title: string; lines: Lines }) {
  return (
    <Section title={title}>
      <dl className="tabular rounded-md bg-raised shadow-raised">
        {lines.map(([name, value]) => (
          <div key={name} className="flex justify-between gap-4 border-b border-line px-3 py-2 text-sm last:border-0">
            <dt className="shrink-0 text-text-3">{name}</dt>
            <dd className="min-w-0 text-right">{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}
