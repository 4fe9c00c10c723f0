import { useState } from "react";

import { api, got } from "../../api/client";
import { Button, IconButton } from "../../parts/Button";
import { Field, Input } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section } from "../../parts/Section";
import { ago } from "../../parts/words";
import { type EnvironmentView, useChange } from "./environment";

/** Secrets go in and never come out again. */
export function Secrets({ view, admin }: { view: EnvironmentView; admin: boolean }) {
  const key = view.repository.key;
  const set = useChange(
    key,
    ({ name, value }: { name: string; value: string }) => got(api.PUT("/api/v1/repositories/{key}/secrets/{name}", { params: { path: { key, name } }, body: { value } })),
    ({ name }) => `${name} is kept`,
  );
  const remove = useChange(
    key,
    (name: string) => got(api.DELETE("/api/v1/repositories/{key}/secrets/{name}", { params: { path: { key, name } } })),
    (name) => `${name} is forgotten`,
  );
  return (
    <Section title="Secrets" about="Environment variables of setup and maintenance. An engine never sees them, and nobody can read them back.">
      <WriteOnly
        entries={view.secrets.map((one) => ({ name: one.name, about: `set ${ago(one.changed)}` }))}
        empty="None. A setup that needs a key for a private registry finds it here."
        admin={admin}
        nameLabel="Name"
        namePlaceholder="NPM_TOKEN"
        error={set.error ?? remove.error}
        busy={set.isPending}
        onRemove={(name) => remove.mutate(name)}
        onSet={(name, value) => set.mutateAsync({ name, value })}
      />
    </Section>
  );
}

/** Headers that the proxy puts into requests, outside the sandbox. */
export function Credentials({ view, admin }: { view: EnvironmentView; admin: boolean }) {
  const key = view.repository.key;
  const [header, setHeader] = useState("Authorization: Bearer {}");
  const attach = useChange(
    key,
    ({ host, value }: { host: string; value: string }) => got(api.POST("/api/v1/repositories/{key}/credentials", { params: { path: { key } }, body: { host, header, value } })),
    ({ host }) => `Requests for ${host} carry it`,
  );
  const detach = useChange(
    key,
    (host: string) => got(api.DELETE("/api/v1/repositories/{key}/credentials", { params: { path: { key }, query: { host } } })),
    (host) => `Requests for ${host} carry nothing more`,
  );
  return (
    <Section title="Credentials for hosts" about="A header that is put into each request for a host on its way out: whoever works inside uses it and cannot have it.">
      <WriteOnly
        entries={view.credentials.map((one) => ({ name: one.host, about: one.header }))}
        empty="None."
        admin={admin}
        nameLabel="Host"
        namePlaceholder="api.example.com"
        error={attach.error ?? detach.error}
        busy={attach.isPending}
        onRemove={(host) => detach.mutate(host)}
        onSet={(host, value) => attach.mutateAsync({ host, value })}
        extra={<Field label="Header">{(given) => <Input {...given} value={header} onChange={(event) => setHeader(event.target.value)} className="font-mono text-xs" />}</Field>}
      />
    </Section>
  );
}

interface WriteOnlyProps {
  entries: { name: string; about: string }[];
  empty: string;
  admin: boolean;
  nameLabel: string;
  namePlaceholder: string;
  error: unknown;
  busy: boolean;
  onRemove: (name: string) => void;
  onSet: (name: string, value: string) => Promise<unknown>;
  extra?: React.ReactNode;
}

function WriteOnly({ entries, empty, admin, nameLabel, namePlaceholder, error, busy, onRemove, onSet, extra }: WriteOnlyProps) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  return (
    <div className="rounded-md bg-raised shadow-raised">
      {entries.length === 0 && <p className="px-3 py-3 text-sm text-text-2">{empty}</p>}
      <ul>
        {entries.map((one) => (
          <li key={one.name} className="flex items-center gap-3 border-b border-line px-3 py-1.5">
            <code className="font-mono text-xs font-medium">{one.name}</code>
            <span className="min-w-0 flex-1 truncate text-xs text-text-3">{one.about}</span>
            {admin && <IconButton icon="close" label={`Remove ${one.name}`} onClick={() => onRemove(one.name)} />}
          </li>
        ))}
      </ul>
      {Boolean(error) && <ErrorBox error={error} className="m-3" />}
      {admin && (
        <form
          className="flex flex-wrap items-end gap-2 border-t border-line p-3"
          onSubmit={(event) => {
            event.preventDefault();
            void onSet(name.trim(), value).then(
              () => {
                setName("");
                setValue("");
              },
              () => undefined,
            );
          }}
        >
          <Field label={nameLabel} className="min-w-40 flex-1">
            {(given) => <Input {...given} value={name} placeholder={namePlaceholder} onChange={(event) => setName(event.target.value)} className="font-mono text-xs" />}
          </Field>
          {extra && <div className="min-w-52 flex-1">{extra}</div>}
          <Field label="Value" className="min-w-40 flex-1">
            {(given) => <Input {...given} type="password" autoComplete="new-password" value={value} onChange={(event) => setValue(event.target.value)} />}
          </Field>
          <Button type="submit" busy={busy} disabled={name.trim() === "" || value === ""} className="max-sm:h-10">
            Keep
          </Button>
        </form>
      )}
    </div>
  );
}
