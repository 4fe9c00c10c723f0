import type { ReactNode } from "react";

import { cls } from "./class";

export type Tone = "good" | "bad" | "warn" | "busy" | "draft" | "plain";

const SOFT: Record<Tone, string> = {
  good: "bg-good-soft text-good",
  bad: "bg-bad-soft text-bad",
  warn: "bg-warn-soft text-warn",
  busy: "bg-busy-soft text-busy",
  draft: "bg-draft-soft text-draft",
  plain: "bg-hover text-text-2",
};

const TEXT: Record<Tone, string> = {
  good: "text-good",
  bad: "text-bad",
  warn: "text-warn",
  busy: "text-busy",
  draft: "text-draft",
  plain: "text-text-2",
};

/** A word or two that stand out. */
export function Badge({ tone = "plain", children, title }: { tone?: Tone; children: ReactNode; title?: string }) {
  return (
    <span title={title} className={cls("inline-flex h-5 items-center gap-1 rounded-sm px-1.5 text-xs font-medium whitespace-nowrap", SOFT[tone])}>
      {children}
    </span>
  );
}

const STATES: Record<string, { tone: Tone; words: string }> = {
  queued: { tone: "plain", words: "Queued" },
  preparing: { tone: "busy", words: "Preparing" },
  running: { tone: "busy", words: "Running" },
  waiting: { tone: "warn", words: "Waiting" },
  verifying: { tone: "busy", words: "Verifying" },
  delivering: { tone: "busy", words: "Delivering" },
  done: { tone: "good", words: "Done" },
  failed: { tone: "bad", words: "Failed" },
  cancelled: { tone: "plain", words: "Cancelled" },
};

/** The words for a state. */
export const stateWords = (state: string) => STATES[state]?.words ?? state;

/** Where a task or an attempt stands: a sign of a shape of its own, and the word. */
export function State({ state, compact = false }: { state: string; compact?: boolean }) {
  const { tone, words } = STATES[state] ?? { tone: "plain" as const, words: state };
  return (
    <span className={cls("inline-flex items-center gap-1.5 text-xs font-medium whitespace-nowrap", TEXT[tone])}>
      <Sign state={state} />
      <span className={compact ? "sr-only" : undefined}>{words}</span>
    </span>
  );
}

// Shapes differ, not only colours: ring, arc, bars, tick, cross, slash. Nothing moves: a list of hundreds would be drawn
// anew all the time, and be no calm sight.
function Sign({ state }: { state: string }) {
  const drawn: Record<string, ReactNode> = {
    queued: <circle cx="8" cy="8" r="5.2" strokeDasharray="2.4 2.4" />,
    waiting: (
      <>
        <circle cx="8" cy="8" r="5.8" />
        <path d="M6.6 6v4M9.4 6v4" />
      </>
    ),
    done: (
      <>
        <circle cx="8" cy="8" r="6.4" fill="currentColor" stroke="none" />
        <path d="M5.300 8.200l1.900 1.900 3.500-3.900" stroke="var(--raised)" />
      </>
    ),
    failed: (
      <>
        <circle cx="8" cy="8" r="6.4" fill="currentColor" stroke="none" />
        <path d="M5.900 5.900l4.200 4.200M10.100 5.900l-4.200 4.200" stroke="var(--raised)" />
      </>
    ),
    cancelled: (
      <>
        <circle cx="8" cy="8" r="5.700" />
        <path d="M4.200 11.800l7.600-7.600" />
      </>
    ),
  };
  return (
    <svg aria-hidden="true" viewBox="0 0 16 16" className="size-3.5 shrink-0" fill="none" stroke="currentColor" strokeWidth="1.7" strokeLinecap="round">
      {drawn[state] ?? (
        <>
          <circle cx="8" cy="8" r="5.800" opacity="0.3" />
          <path d="M8 2.200a5.800 5.800 0 0 1 5.800 5.800" />
        </>
      )}
    </svg>
  );
}

const VERDICTS: Record<string, { tone: Tone; words: string; means: string }> = {
  fixed: { tone: "good", words: "Fixed", means: "Tests that failed on the base pass now, and none that passed fails." },
  "proven-new": { tone: "good", words: "Proven", means: "Its new tests fail on the base and pass on the change; nothing regressed." },
  preserved: { tone: "good", words: "Preserved", means: "The same tests are green before and after." },
  regressed: { tone: "bad", words: "Regressed", means: "A test that passed on the base does not pass any more." },
  flaky: { tone: "warn", words: "Flaky", means: "Repeats of the same commit disagree." },
  unproven: { tone: "warn", words: "Unproven", means: "The base is red and still is, or no test speaks of the change." },
  "not-checked": { tone: "plain", words: "Not checked", means: "There is no check command." },
};

/** What the checks have shown. */
export function Verdict({ verdict }: { verdict: string }) {
  const { tone, words, means } = VERDICTS[verdict] ?? { tone: "plain" as const, words: verdict, means: "" };
  return (
    <Badge tone={tone} title={means}>
      {words}
    </Badge>
  );
}

/** "+12 −3", green and red, and in words for those who do not see them. */
export function Diffstat({ insertions, deletions }: { insertions: number; deletions: number }) {
  return (
    <span className="tabular inline-flex gap-1 text-xs whitespace-nowrap">
      <span className="text-good">
        <span className="sr-only">lines added: </span>+{insertions}
      </span>
      <span className="text-bad">
        <span className="sr-only">lines removed: </span>−{deletions}
      </span>
    </span>
  );
}
