import type { ReactNode } from "react";

import { cls } from "../../parts/class";
import { Icon, type IconName } from "../../parts/Icon";
import { type Tone, stateWords } from "../../parts/State";
import { duration, plural } from "../../parts/words";
import type { Recorded } from "./attempt";

interface Said {
  icon: IconName;
  tone?: Tone;
  text: ReactNode;
  more?: ReactNode;
}

const COLOUR: Record<Tone, string> = { good: "text-good", bad: "text-bad", warn: "text-warn", busy: "text-busy", draft: "text-draft", plain: "text-text-3" };

type Event = Recorded["event"];

/** An event between turns, in a person's words; null: it tells a person nothing. */
function said(event: Event): Said | null {
  switch (event.kind) {
    case "moved": {
      // Work that goes on says so itself, and a question is asked in its own words.
      if (!/^(waiting|done|failed|cancelled)$/.test(event.state) || event.waiting_for?.startsWith("an answer")) return null;
      const tone = ({ done: "good", failed: "bad", waiting: "warn" } as Record<string, Tone>)[event.state];
      return { icon: "right", ...(tone ? { tone } : {}), text: stateWords(event.state), more: event.waiting_for ?? event.reason };
    }
    case "noticed":
      return event.level === "warning" ? { icon: "alert", tone: "warn", text: event.text } : { icon: "file", text: event.text };
    case "environment-chosen":
      return { icon: "box", text: "Environment chosen", more: [event.environment.language === "unknown" ? null : event.environment.language, event.environment.check?.command].filter(Boolean).join(" · ") };
    case "environment-prepared":
      return { icon: "layers", text: event.reused ? "Environment was ready" : "Environment prepared", more: event.reused ? null : `in ${duration(event.seconds)}` };
    case "environment-failed":
      return { icon: "alert", tone: "bad", text: "The environment could not be prepared", more: "It is on the Environments page, with the failing line." };
    case "started":
      return { icon: "play", text: "Started", more: `at ${event.base.slice(0, 10)}, ${event.sandbox.split(";")[0]}` };
    case "question-asked":
      return { icon: "question", tone: "warn", text: event.text };
    case "compacted":
      return { icon: "layers", text: "The conversation was summed up", more: `${event.tokens_before.toLocaleString()} tokens became ${event.tokens_after.toLocaleString()}` };
    case "compaction-undone":
      return { icon: "rewind", text: "The summary was left out again" };
    case "rewound":
      return { icon: "rewind", text: event.turn === 0 ? "Taken back to the beginning" : `Taken back to turn ${event.turn}` };
    case "forked":
      return { icon: "fork", text: `Goes on from turn ${event.turn} of another attempt` };
    case "engine-noted":
      return { icon: "file", text: event.topic, more: event.text };
    case "change-taken":
      return { icon: "file", text: `Change of ${plural(event.change.files?.length ?? 0, "file")}` };
    case "answered":
      return null; // it has a place of its own
    case "chosen":
      return { icon: "check", tone: "good", text: "Chosen for the pull request", more: event.reasons.join("; ") };
    case "delivered":
      return { icon: "pull", tone: "good", text: event.pull_request.draft ? `Draft ${event.pull_request.number} delivered` : `Pull request ${event.pull_request.number} delivered`, more: event.pull_request.branch };
    case "egress-decided":
      return event.allowed
        ? { icon: "globe", text: `${event.host}:${event.port} was let through`, more: event.count > 1 ? `${event.count} times` : null }
        : { icon: "globe", tone: "bad", text: `${event.host}:${event.port} was refused`, more: event.reason };
    case "conflicts-found": {
      const paths = event.base ?? [];
      const rivals = event.rivals ?? [];
      if (paths.length === 0 && rivals.length === 0) return null;
      return { icon: "alert", tone: "warn", text: paths.length > 0 ? `Conflicts with the base branch in ${plural(paths.length, "file")}` : `Conflicts with ${rivals.map((one) => one.label).join(", ")}`, more: paths.join(", ") };
    }
    case "integrated":
      return { icon: "fork", text: event.text, more: event.conflicts?.length ? `conflicts in ${event.conflicts.join(", ")}` : null };
    case "pause-requested":
      return { icon: "pause", text: "Paused by a person" };
    case "resume-requested":
      return { icon: "play", text: "Resumed by a person" };
    case "cancel-requested":
      return { icon: "stop", text: "Stopped by a person" };
    case "dismissed":
      return { icon: "check", text: "A person has seen to it" };
    default:
      return null;
  }
}

/** Something between the turns. */
export function Note({ recorded }: { recorded: Recorded }) {
  const { event } = recorded;
  if (event.kind === "person-said") {
    return (
      <div className="mx-4 my-2 ml-auto w-fit max-w-[85%] rounded-lg bg-selected px-3 py-2 max-sm:mx-3">
        <p className="text-xs font-medium text-text-3">
          {event.by === "person" ? "A person" : "Pullwright"} <Clock at={recorded.at} />
        </p>
        <p className="text-sm whitespace-pre-wrap">{event.text}</p>
      </div>
    );
  }
  const words = said(event);
  if (!words) return null;
  return (
    <div className="flex items-start gap-2.5 px-4 py-1.5 text-xs max-sm:px-3">
      <Icon name={words.icon} size={14} className={cls("mt-0.5", COLOUR[words.tone ?? "plain"])} />
      <p className="min-w-0 flex-1 text-text-2">
        <span className={cls("font-medium", words.tone && COLOUR[words.tone])}>{words.text}</span>
        {words.more && <span className="text-text-3"> · {words.more}</span>}
      </p>
      <Clock at={recorded.at} />
    </div>
  );
}

export function Clock({ at }: { at: string }) {
  const moment = new Date(at);
  return (
    <time dateTime={at} title={moment.toLocaleString()} className="shrink-0 text-xs text-text-3">
      {moment.toLocaleTimeString(undefined, { hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: "2-digit" })}
    </time>
  );
}

/** Whether an event has words for a person. */
export const tells = (recorded: Recorded) => recorded.event.kind === "person-said" || said(recorded.event) !== null;
