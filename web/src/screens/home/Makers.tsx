import { useQuery } from "@tanstack/react-query";

import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { enginesQuery, modelsQuery } from "./choices";
import type { Draft } from "./draft";

/** Who makes the attempts, and how many there are. */
export function Makers({ draft, change }: { draft: Draft; change: (part: Partial<Draft>) => void }) {
  const models = useQuery(modelsQuery).data;
  const engines = useQuery(enginesQuery).data;
  const least = Math.max(1, draft.models.length + (draft.repair ? 1 : 0));
  const attempts = Math.max(draft.attempts, least);
  const toggle = (name: string) => {
    const next = draft.models.includes(name) ? draft.models.filter((one) => one !== name) : [...draft.models, name].slice(0, 8);
    change({ models: next, attempts: Math.max(1, next.length + (draft.repair ? 1 : 0)) });
  };
  const unnamed = draft.models.length === 0 && !draft.repair;
  return (
    <div className="flex flex-wrap items-start gap-x-6 gap-y-3">
      <fieldset className="min-w-0 flex-1">
        <legend className="mb-1 text-xs font-medium text-text-2">By</legend>
        <div className="flex flex-wrap gap-1.5">
          {(models?.items ?? []).map((one) => (
            <Chip key={one.name} on={draft.models.includes(one.name)} implied={unnamed && (one.default || one.model === models?.default)} onToggle={() => toggle(one.name)} title={one.model}>
              {one.source === "kept" ? one.name : (one.model.split(":").at(-1) ?? one.name)}
            </Chip>
          ))}
          {!draft.ask &&
            (engines?.items ?? [])
              .filter((one) => !one.takes_model)
              .map((one) => (
                <Chip key={one.name} on={draft.repair} implied={unnamed && engines?.default === one.name} onToggle={() => change({ repair: !draft.repair })} title={one.text}>
                  {one.name}
                </Chip>
              ))}
        </div>
        {models?.problem && <p className="mt-1 max-w-prose text-xs text-text-3">{models.problem}</p>}
      </fieldset>
      <fieldset>
        <legend className="mb-1 text-xs font-medium text-text-2">Attempts</legend>
        <div className="inline-flex rounded border border-control bg-raised">
          <Step label="One attempt fewer" sign="−" disabled={attempts <= least} act={() => change({ attempts: attempts - 1 })} />
          <output aria-label="Attempts" className="tabular flex h-7.5 w-7 items-center justify-center text-sm font-medium max-sm:h-9">
            {attempts}
          </output>
          <Step label="One attempt more" sign="+" disabled={attempts >= 8} act={() => change({ attempts: attempts + 1 })} />
        </div>
      </fieldset>
    </div>
  );
}

function Step({ label, sign, disabled, act }: { label: string; sign: string; disabled: boolean; act: () => void }) {
  return (
    <button type="button" aria-label={label} disabled={disabled} onClick={act} className="h-7.5 w-8 rounded text-base text-text-2 hover:bg-hover disabled:opacity-35 max-sm:h-9 max-sm:w-10">
      {sign}
    </button>
  );
}

function Chip({ on, implied, onToggle, title, children }: { on: boolean; implied: boolean; onToggle: () => void; title: string; children: React.ReactNode }) {
  return (
    <button
      type="button"
      aria-pressed={on}
      title={title}
      onClick={onToggle}
      className={cls(
        "inline-flex h-7.5 max-w-60 items-center gap-1 rounded border px-2.5 text-sm max-sm:h-9",
        on ? "border-accent bg-selected font-medium text-text" : "border-control text-text-2 hover:bg-hover",
      )}
    >
      {on && <Icon name="check" size={12} className="text-accent" />}
      <span className="truncate">{children}</span>
      {implied && <span className="text-xs text-text-3">default</span>}
    </button>
  );
}
