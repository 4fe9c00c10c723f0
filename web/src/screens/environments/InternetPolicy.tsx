import { useState } from "react";

import { api, got } from "../../api/client";
import { Button, IconButton } from "../../parts/Button";
import { Input, Select } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section, Table } from "../../parts/Section";
import { ago } from "../../parts/words";
import { type EnvironmentView, type Internet, type Phase, useChange } from "./environment";

const PHASES: { phase: Phase; label: string; about: string }[] = [
  { phase: "agent", label: "While an engine works", about: "And while a change is verified." },
  { phase: "setup", label: "While setup runs", about: "Setup and maintenance scripts of the base commit." },
];

/** What each phase may reach, and what was refused. */
export function InternetPolicy({ view, admin }: { view: EnvironmentView; admin: boolean }) {
  const key = view.repository.key;
  const allow = useChange(
    key,
    ({ phase, rules }: { phase: Phase; rules: string[] }) => got(api.POST("/api/v1/repositories/{key}/allow", { params: { path: { key } }, body: { phase, rules } })),
    ({ rules }) => `${rules.join(", ")} may be reached`,
  );
  return (
    <Section title="Internet" about="A sandbox has no way out but a proxy that decides by this. What is under way follows within seconds.">
      {allow.error && <ErrorBox error={allow.error} className="mb-3" />}
      <div className="grid gap-3 sm:grid-cols-2">
        {PHASES.map((one) => (
          <PhaseCard key={one.phase} view={view} admin={admin} onAllow={(rule) => allow.mutateAsync({ phase: one.phase, rules: [rule] })} {...one} />
        ))}
      </div>
      {view.blocked.length > 0 && (
        <>
          <h3 className="mt-4 mb-2 text-sm font-semibold">Refused</h3>
          <Table label="Hosts that were refused" head={[{ name: "Host" }, { name: "Why" }, { name: "Times", right: true }, { name: "Last", right: true }, { name: "Allow", hidden: true }]}>
            {view.blocked.map((one) => {
              const rule = one.port === 443 || one.port === 80 ? one.host : `${one.host}:${one.port}`;
              return (
                <tr key={`${one.host}:${one.port}`}>
                  <td className="font-mono text-xs">
                    {one.host}:{one.port}
                    {one.command && (
                      <span className="block max-w-60 truncate text-text-3" title={one.command}>
                        {one.command}
                      </span>
                    )}
                  </td>
                  <td className="text-xs text-text-2">{one.reason}</td>
                  <td className="text-right">{one.count}</td>
                  <td className="text-right text-xs whitespace-nowrap text-text-3">{ago(one.last)}</td>
                  <td className="text-right">
                    {admin && (
                      <Button size="sm" aria-label={`Allow ${rule}`} busy={allow.isPending && allow.variables.rules.includes(rule)} onClick={() => allow.mutate({ phase: "agent", rules: [rule] })}>
                        Allow
                      </Button>
                    )}
                  </td>
                </tr>
              );
            })}
          </Table>
        </>
      )}
    </Section>
  );
}

interface PhaseProps {
  view: EnvironmentView;
  admin: boolean;
  phase: Phase;
  label: string;
  about: string;
  onAllow: (rule: string) => Promise<unknown>;
}

function PhaseCard({ view, admin, phase, label, about, onAllow }: PhaseProps) {
  const key = view.repository.key;
  const reach = view.internet[phase];
  const [rule, setRule] = useState("");
  const set = useChange(
    key,
    (internet: Internet) => got(api.PUT("/api/v1/repositories/{key}/internet", { params: { path: { key } }, body: { phase, internet } })),
    (internet) => ({ off: "The internet is off", allow: "Only named hosts may be reached", on: "Every public host may be reached" })[internet],
  );
  const deny = useChange(
    key,
    (denied: string) => got(api.POST("/api/v1/repositories/{key}/deny", { params: { path: { key } }, body: { phase, rules: [denied] } })),
    (denied) => `${denied} may not be reached`,
  );
  const allowed = reach?.allow ?? [];
  const refused = reach?.deny ?? [];
  return (
    <div className="rounded-md bg-raised p-3 shadow-raised">
      <h3 className="text-sm font-medium">{label}</h3>
      <p className="mb-2 text-xs text-text-3">{about}</p>
      <Select aria-label={`Internet ${label.toLowerCase()}`} disabled={!admin || set.isPending} value={reach?.internet ?? "off"} onChange={(event) => set.mutate(event.target.value as Internet)}>
        <option value="off">Off</option>
        <option value="allow">Only named hosts</option>
        <option value="on">Every public host</option>
      </Select>
      {set.error && <ErrorBox error={set.error} className="mt-2" />}
      <ul className="mt-2 flex flex-col">
        {allowed.map((one) => (
          <li key={one} className="flex items-center gap-2 border-b border-line py-0.5 last:border-0">
            <code className="min-w-0 flex-1 truncate font-mono text-xs">{one}</code>
            {admin && <IconButton icon="close" label={`Deny ${one}`} disabled={deny.isPending} onClick={() => deny.mutate(one)} />}
          </li>
        ))}
        {refused.map((one) => (
          <li key={one} className="flex items-center gap-2 border-b border-line py-1 text-xs last:border-0">
            <span className="font-medium text-bad">denied</span>
            <code className="min-w-0 flex-1 truncate font-mono">{one}</code>
          </li>
        ))}
      </ul>
      {deny.error && <ErrorBox error={deny.error} className="mt-2" />}
      {admin && (
        <form
          className="mt-2 flex gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            void onAllow(rule.trim()).then(
              () => setRule(""),
              () => undefined,
            );
          }}
        >
          <Input aria-label={`Host to allow ${label.toLowerCase()}`} placeholder="host, *.host or preset:package-registries" value={rule} onChange={(event) => setRule(event.target.value)} className="font-mono text-xs" />
          <Button type="submit" disabled={rule.trim() === ""} className="max-sm:h-10">
            Allow
          </Button>
        </form>
      )}
    </div>
  );
}
