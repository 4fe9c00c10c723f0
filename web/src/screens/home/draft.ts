import type { Schema } from "../../api/client";

/** A task as it is being written; kept in this browser until it is handed in. */
export interface Draft {
  prompt: string;
  repository: string;
  base: string;
  ask: boolean;
  attempts: number;
  /** Names of models that the native engine asks; none: the default. */
  models: string[];
  repair: boolean;
  setup: string;
  check: string;
  image: string;
  allow: string;
  minutes: string;
  cost: string;
  /** The order's own word: sent again with it, it is handed in once. */
  key: string;
}

const KEY = "pullwright.draft";

function word(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const NOTHING = (): Draft => ({ prompt: "", repository: "", base: "", ask: false, attempts: 1, models: [], repair: false, setup: "", check: "", image: "", allow: "", minutes: "", cost: "", key: word() });

/** What was being written when the page was left. */
export function kept(): Draft {
  try {
    return { ...NOTHING(), ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Draft>) };
  } catch {
    return NOTHING();
  }
}

export function keep(draft: Draft) {
  try {
    localStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // no room: it is only not kept
  }
}

export const forget = () => localStorage.removeItem(KEY);

const amount = (written: string) => {
  const value = Number(written.replace(",", "."));
  return written.trim() !== "" && Number.isFinite(value) && value > 0 ? value : undefined;
};

/** What the API takes. */
export function orderOf(draft: Draft): Schema<"TaskOrder"> {
  const native = draft.models.length > 0 || !draft.repair;
  const engines = [...(native && (draft.repair || draft.models.length > 0) ? ["native"] : []), ...(draft.repair ? ["repair"] : [])];
  return {
    prompt: draft.prompt.trim(),
    repository: draft.repository,
    base: draft.base || null,
    ask: draft.ask,
    attempts: Math.max(draft.attempts, draft.models.length + (draft.repair ? 1 : 0), 1),
    engines,
    models: draft.models,
    setup: draft.setup.trim() || null,
    check: draft.check.trim() || null,
    image: draft.image.trim() || null,
    allow: draft.allow.split(/[\s,]+/).filter(Boolean),
    limits: {
      ...(amount(draft.minutes) === undefined ? {} : { minutes: amount(draft.minutes) }),
      ...(amount(draft.cost) === undefined ? {} : { cost: amount(draft.cost) }),
    },
  } as Schema<"TaskOrder">;
}
