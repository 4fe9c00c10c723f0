import { useEffect, useMemo, useState } from "react";

import { text } from "../../api/client";
import { asFailure, type Failure } from "../../api/problem";
import type { Call, Saying, Timeline } from "./attempt";
import { linesOf } from "./lines";
import { LogView } from "./LogView";

const AT_ONCE = 4; // outputs that are asked for side by side

const addressOf = (call: Call) => (call.output ? `/api/v1/attempts/${encodeURIComponent(call.output.log)}/outputs/${call.output.number}` : "");

/** The whole texts of outputs that the timeline has only the beginning of; each is asked for once. */
function useWhole(timeline: Timeline): { whole: ReadonlyMap<string, string[]>; reading: boolean; error: Failure | null } {
  const [whole, setWhole] = useState<ReadonlyMap<string, string[]>>(new Map());
  const [error, setError] = useState<Failure | null>(null);
  const missing = timeline.turns.flatMap((turn) => turn.calls).filter((call) => call.output && !call.output.whole && !whole.has(addressOf(call)));
  const next = missing.slice(0, AT_ONCE).map(addressOf).join(" ");
  useEffect(() => {
    if (next === "") return undefined;
    const ending = new AbortController();
    Promise.all(next.split(" ").map(async (address) => [address, linesOf(await text(address, ending.signal))] as const)).then(
      (read) => setWhole((before) => new Map([...before, ...read])),
      (failed: unknown) => ending.signal.aborted || setError(asFailure(failed)),
    );
    return () => ending.abort();
  }, [next]);
  return { whole, reading: missing.length > 0 && error === null, error };
}

const HEAD = "──";

function linesOfAll(timeline: Timeline, whole: ReadonlyMap<string, string[]>, saying: Saying): string[] {
  const lines: string[] = [];
  const add = (more: string[]) => {
    for (const line of more) lines.push(line);
  };
  for (const turn of timeline.turns) {
    lines.push(`${HEAD} turn ${turn.turn}${turn.counts ? "" : " (taken back)"} · ${new Date(turn.started).toLocaleTimeString(undefined, { hourCycle: "h23" })} · ${turn.model ?? ""}`);
    const said = turn.text || (turn.status === null ? saying.text : "");
    if (said) add(linesOf(said));
    for (const call of turn.calls) {
      const given = call.arguments["cmd"];
      const command = linesOf(typeof given === "string" ? given : JSON.stringify(call.arguments));
      lines.push(`${call.name === "exec_command" ? "$" : call.name} ${command[0] ?? ""}`);
      add(command.slice(1).map((line) => `  ${line}`));
      add(call.output ? (whole.get(addressOf(call)) ?? linesOf(call.output.text)) : linesOf(saying.outputs.get(call.call) ?? ""));
    }
  }
  return lines;
}

/** Everything that was said and printed, one line after the other. */
export function FullLog({ timeline, saying, live }: { timeline: Timeline; saying: Saying; live: boolean }) {
  const { whole, reading, error } = useWhole(timeline);
  const lines = useMemo(() => linesOfAll(timeline, whole, saying), [timeline, whole, saying]);
  return <LogView lines={lines} label="the log" live={live} reading={reading} error={error} heading={(line) => line.startsWith(HEAD) || line.startsWith("$ ")} className="h-full" />;
}
