import { memo, useState } from "react";

import { cls } from "../../parts/class";
import { Icon, type IconName } from "../../parts/Icon";
import { Menu, type MenuItem } from "../../parts/Menu";
import { Prose } from "../../parts/Prose";
import { bytes, count, duration, money } from "../../parts/words";
import type { Call, Saying, Turn } from "./attempt";
import { linesOf } from "./lines";
import { LogView } from "./LogView";
import { Clock } from "./Note";

export interface TurnActs {
  /** Whether whoever looks may steer at all. */
  may: boolean;
  rewind: (turn: Turn) => void;
  fork: (turn: Turn) => void;
  output: (call: Call) => void;
}

interface TurnProps {
  turn: Turn;
  /** Its number on the page: a fork's turns come after its parent's. */
  open: boolean;
  acts: TurnActs;
  saying: Saying | null;
}

/** One turn: what was said, what was called, what it took. */
export const TurnCard = memo(function TurnCard({ turn, open, acts, saying }: TurnProps) {
  const live = turn.status === null;
  const text = turn.text || (live ? (saying?.text ?? "") : "");
  const reasoning = turn.reasoning || (live ? (saying?.reasoning ?? "") : "");
  const items: MenuItem[] = [
    { label: "Fork from here", hint: "One more attempt with conversation and files as after this turn", icon: "fork", act: () => acts.fork(turn) },
    ...(turn.inherited || !turn.counts ? [] : [{ label: "Take back to here", hint: "What came after counts no more", icon: "rewind" as IconName, act: () => acts.rewind(turn) }]),
  ];
  return (
    <article aria-label={`Turn ${turn.turn}`} className={cls("border-t border-line px-4 py-3 max-sm:px-3", !turn.counts && "bg-sunken")}>
      <header className="flex items-center gap-2 text-xs text-text-3">
        <h3 className="font-semibold text-text-2">Turn {turn.turn}</h3>
        {!turn.counts && <span className="rounded-sm bg-hover px-1.5 font-medium">taken back</span>}
        {turn.inherited && <span className="rounded-sm bg-hover px-1.5 font-medium">from the other attempt</span>}
        {live && turn.counts && (
          <span className="inline-flex items-center gap-1.5 text-busy">
            <span className="breathing size-1.5 rounded-full bg-current" />
            {turn.model_seconds === 0 ? "thinking" : "working"}
          </span>
        )}
        <span className="flex-1" />
        <Figures turn={turn} />
        <Clock at={turn.started} />
        {turn.status !== null && acts.may && (
          <Menu label={`Acts on turn ${turn.turn}`} items={items} className="inline-flex size-6 items-center justify-center rounded text-text-3 hover:bg-hover hover:text-text max-sm:size-9">
            <Icon name="more" size={14} />
          </Menu>
        )}
      </header>
      {reasoning && (
        <details className="mt-1.5 text-xs text-text-3" open={live && text === ""}>
          <summary className="w-fit">Reasoning</summary>
          <p className="mt-1 border-l-2 border-line pl-3 whitespace-pre-wrap">{reasoning}</p>
        </details>
      )}
      {text && <Prose text={text} className="mt-1.5" />}
      {turn.calls.length > 0 && (
        <ul className="mt-2 flex flex-col gap-1">
          {turn.calls.map((call) => (
            <CallLine key={call.call} call={call} open={open} onWhole={acts.output} printing={call.seconds === null ? (saying?.outputs.get(call.call) ?? null) : null} />
          ))}
        </ul>
      )}
      {turn.result && turn.status !== "waiting" && turn.result !== turn.text && <Prose text={turn.result} className="mt-2 text-text-2" />}
    </article>
  );
});

function Figures({ turn }: { turn: Turn }) {
  const { usage } = turn;
  const parts = [
    turn.seconds === null ? null : duration(turn.seconds),
    usage.input_tokens + usage.output_tokens > 0 ? `${count(usage.input_tokens)} → ${count(usage.output_tokens)}` : null,
    usage.cost ? money(usage.cost) : null,
  ].filter(Boolean);
  const title = [
    `Model ${duration(turn.model_seconds)}, tools ${duration(turn.tool_seconds)}`,
    turn.time_to_first_token === null ? null : `first token after ${duration(turn.time_to_first_token)}`,
    `${usage.input_tokens.toLocaleString()} tokens in (${usage.cached_tokens.toLocaleString()} cached), ${usage.output_tokens.toLocaleString()} out`,
  ]
    .filter(Boolean)
    .join("; ");
  return (
    <span className="tabular flex gap-2.5 whitespace-nowrap" title={title}>
      {parts.map((part, place) => (
        <span key={place} className={place === 1 ? "max-sm:hidden" : undefined}>
          {part}
        </span>
      ))}
    </span>
  );
}

const ICONS: Record<string, IconName> = { exec_command: "terminal", write_stdin: "terminal", apply_patch: "file", search: "search", plan: "pin", code: "search", ask_person: "question", finish: "check", view_image: "file" };

/** What a call is about, in a line. */
function about(call: Call): string {
  const given = call.arguments as Record<string, unknown>;
  const first = given["cmd"] ?? given["question"] ?? given["summary"] ?? given["query"] ?? given["pattern"] ?? given["path"];
  if (typeof first === "string") return first.split("\n").find((line) => line.trim() !== "") ?? first;
  if (typeof given["patch"] === "string") return [...given["patch"].matchAll(/\*\*\* (?:Update|Add|Delete) File: (.+)/g)].map((match) => match[1]).join(", ") || "patch";
  if (Array.isArray(given["steps"])) return `${given["steps"].length} steps`;
  const short = JSON.stringify(given);
  return short === "{}" ? "" : short;
}

function CallLine({ call, open, onWhole, printing }: { call: Call; open: boolean; onWhole: (call: Call) => void; printing: string | null }) {
  const [own, setOwn] = useState<boolean | null>(null);
  const shown = own ?? (open && (call.name === "exec_command" || call.failed));
  const words = about(call);
  const command = typeof call.arguments["cmd"] === "string" ? call.arguments["cmd"] : null;
  const long = command !== null && command.includes("\n");
  return (
    <li className="overflow-hidden rounded border border-line bg-raised">
      <button type="button" aria-expanded={shown} onClick={() => setOwn(!shown)} className="flex min-h-7.5 w-full items-center gap-2 px-2 py-1 text-left text-xs hover:bg-hover focus-visible:-outline-offset-2 max-sm:min-h-10">
        <Icon name={ICONS[call.name] ?? "terminal"} size={14} className={call.failed ? "text-bad" : "text-text-3"} />
        <span className={cls("shrink-0 text-text-3", call.name === "exec_command" && "sr-only")}>{call.name}</span>
        <code className="min-w-0 flex-1 truncate font-mono text-text">{words}</code>
        {call.failed && <span className="shrink-0 font-medium text-bad">failed</span>}
        {call.interrupted && <span className="shrink-0 font-medium text-warn">interrupted</span>}
        {call.seconds === null ? <span className="breathing size-1.5 shrink-0 rounded-full bg-busy" aria-label="running" role="img" /> : <span className="tabular shrink-0 text-text-3">{duration(call.seconds)}</span>}
        {call.output && call.output.size > 0 && <span className="tabular shrink-0 text-text-3 max-sm:hidden">{bytes(call.output.size)}</span>}
        <Icon name={shown ? "down" : "right"} size={12} className="text-text-3" />
      </button>
      {shown && (
        <div className="border-t border-line">
          {(long || (command === null && call.name === "apply_patch")) && (
            <pre className="scroll-quiet max-h-60 overflow-auto border-b border-line bg-code px-3 py-2 font-mono text-xs" tabIndex={0}>
              {command ?? String(call.arguments["patch"] ?? "")}
            </pre>
          )}
          {printing !== null && <LogView live lines={linesOf(printing)} label="what it prints" className="h-60" />}
          {call.output && (
            <>
              {call.output.text === "" ? (
                <p className="px-3 py-2 text-xs text-text-3">It printed nothing.</p>
              ) : (
                <pre className="scroll-quiet max-h-80 overflow-auto bg-code px-3 py-2 font-mono text-xs leading-4.5" tabIndex={0}>
                  {linesOf(call.output.text).join("\n")}
                </pre>
              )}
              {!call.output.whole && (
                <button type="button" onClick={() => onWhole(call)} className="flex h-8 w-full items-center justify-center gap-1.5 border-t border-line text-xs font-medium text-accent hover:bg-hover focus-visible:-outline-offset-2 max-sm:h-10">
                  Show all of it ({bytes(call.output.size)})
                </button>
              )}
            </>
          )}
          {printing === null && call.output === null && <p className="px-3 py-2 text-xs text-text-3">Nothing yet.</p>}
        </div>
      )}
    </li>
  );
}
