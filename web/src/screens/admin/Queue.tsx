import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { api, got } from "../../api/client";
import { useNow } from "../../parts/now";
import { Section, Table } from "../../parts/Section";
import { State } from "../../parts/State";
import { age, ago } from "../../parts/words";
import { Asked } from "./lists";

/** Who works, what is worked on, and what waits for what. */
export function Queue() {
  const now = useNow();
  const queue = useQuery({ queryKey: ["queue"], queryFn: () => got(api.GET("/api/v1/queue")), refetchInterval: 3000 });
  return (
    <Asked query={queue}>
      {(data) => (
        <div className="flex flex-col gap-6">
          <Section title="Workers" about="A worker takes tasks in turn; another takes over where one dies.">
            {data.workers.length === 0 ? (
              <p className="rounded-md bg-warn-soft px-3 py-3 text-sm">Nobody works at present. This server takes over within seconds, if it may; see Doctor for what is in its way.</p>
            ) : (
              <Table label="Workers" head={[{ name: "Worker" }, { name: "Process", right: true }, { name: "Where" }, { name: "Works on" }, { name: "Since", right: true }, { name: "Last sign of life", right: true }]}>
                {data.workers.map((one) => (
                  <tr key={one.id}>
                    <td className="font-medium">{one.id}</td>
                    <td className="text-right">{one.pid}</td>
                    <td className="text-text-2">{one.here ? "this server" : "another process"}</td>
                    <td className="text-xs text-text-2">{one.attempts.join(", ") || "nothing at present"}</td>
                    <td className="text-right">{one.since ? age(one.since, now) : "unknown"}</td>
                    <td className={one.answers ? "text-right" : "text-right font-medium text-bad"}>
                      {one.answers ? "" : "Does not answer: "}
                      {ago(one.seen, now)}
                    </td>
                  </tr>
                ))}
              </Table>
            )}
          </Section>
          <Section title="Queue" about={`${data.at_work} worked on, ${data.queued} queued, ${data.waiting} waiting.`}>
            {data.items.length === 0 ? (
              <p className="rounded-md bg-raised px-3 py-4 text-sm text-text-2 shadow-raised">Nothing is unfinished.</p>
            ) : (
              <Table label="Unfinished tasks" head={[{ name: "State" }, { name: "Task" }, { name: "Waits for" }, { name: "Attempts", right: true }, { name: "Age", right: true }]}>
                {data.items.map((row) => (
                  <tr key={row.id}>
                    <td>
                      <State state={row.state} />
                    </td>
                    <td className="max-w-80">
                      <Link to="/tasks/$task" params={{ task: row.id }} className="line-clamp-1 font-medium text-text no-underline hover:underline">
                        {row.title}
                      </Link>
                      <span className="text-xs text-text-3">{row.repository_name}</span>
                    </td>
                    <td className="text-xs text-text-2">{row.waiting_for ?? ""}</td>
                    <td className="text-right">{row.attempts.length}</td>
                    <td className="text-right">{age(row.created, now)}</td>
                  </tr>
                ))}
              </Table>
            )}
          </Section>
        </div>
      )}
    </Asked>
  );
}
