import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Check, Field, Input } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section, Table } from "../../parts/Section";
import { Badge } from "../../parts/State";
import { tell, tellFailure } from "../../parts/Toast";
import { count, duration, money } from "../../parts/words";
import { modelsQuery } from "../home/choices";
import { Asked, Card, useListChange } from "./lists";

const SOURCES: Record<string, string> = { kept: "kept here", environment: "the server's environment", machine: "a server of this machine" };

/** Whether its key, its name and its address are right: it costs nothing. */
async function check(model: string) {
  const said = await got(api.POST("/api/v1/models/check", { body: { model } }));
  if (said.ok) tell(model, said.text);
  else tellFailure(new Error(said.text));
}

/** Has it say a word, which is paid for. */
async function ask(model: string) {
  const { seconds, usage } = await got(api.POST("/api/v1/models/test", { body: { model } }));
  tell(model, `answers in ${duration(seconds)}${usage.cost === null ? "" : `, for ${money(usage.cost)}`}`);
}

export function Models() {
  const models = useQuery(modelsQuery);
  const [checking, setChecking] = useState<string | null>(null);
  const forget = useListChange("models", (name: string) => got(api.DELETE("/api/v1/models/{name}", { params: { path: { name } } })), "The model is forgotten, and its key with it");
  const trying = async (how: (model: string) => Promise<void>, model: string) => {
    setChecking(model);
    try {
      await how(model);
    } catch (error) {
      tellFailure(error);
    } finally {
      setChecking(null);
    }
  };
  return (
    <Section title="Models" about="What engines may ask. No key is ever shown. Check costs nothing; Ask has it say a word.">
      {forget.error && <ErrorBox error={forget.error} className="mb-3" />}
      <Asked query={models}>
        {({ items, problem }) => (
          <>
            {problem && <p className="mb-3 rounded-md bg-warn-soft px-3 py-2 text-sm">{problem}</p>}
            {items.length > 0 && (
              <Table label="Models" head={[{ name: "Name" }, { name: "Model" }, { name: "From" }, { name: "Window", right: true }, { name: "US$ per million in / out", right: true }, { name: "Acts", hidden: true }]}>
                {items.map((one) => (
                  <tr key={one.name}>
                    <td className="font-medium whitespace-nowrap">
                      {one.name} {one.default && <Badge tone="good">default</Badge>}
                    </td>
                    <td className="font-mono text-xs">
                      {one.model}
                      {one.base_url && <span className="block text-text-3">{one.base_url}</span>}
                    </td>
                    <td className="text-xs text-text-2">{SOURCES[one.source] ?? one.source}</td>
                    <td className="text-right">{one.window ? count(one.window) : "–"}</td>
                    <td className="text-right whitespace-nowrap">{one.prices ? `${one.prices.input} / ${one.prices.output}` : "–"}</td>
                    <td className="text-right whitespace-nowrap">
                      <Button size="sm" aria-label={`Check ${one.name}`} busy={checking === one.name} onClick={() => void trying(check, one.name)}>
                        Check
                      </Button>{" "}
                      <Button size="sm" aria-label={`Ask ${one.name} for a word, which is paid for`} busy={checking === one.name} onClick={() => void trying(ask, one.name)}>
                        Ask
                      </Button>{" "}
                      {one.source === "kept" && (
                        <Button size="sm" look="danger" aria-label={`Forget ${one.name}`} onClick={() => forget.mutate(one.name)}>
                          Forget
                        </Button>
                      )}
                    </td>
                  </tr>
                ))}
              </Table>
            )}
          </>
        )}
      </Asked>
      <NewModel />
    </Section>
  );
}

function NewModel() {
  const [name, setName] = useState("");
  const [model, setModel] = useState("");
  const [address, setAddress] = useState("");
  const [key, setKey] = useState("");
  const [standard, setStandard] = useState(false);
  const keep = useListChange("models", () => got(api.POST("/api/v1/models", { body: { name: name.trim(), model: model.trim(), base_url: address.trim() || null, key: key || null, default: standard, fallbacks: [], replace: false, untested: false } })), "The model is kept; its key, name and address are right");
  return (
    <Card
      title="Keep a model"
      onSubmit={() =>
        keep.mutate(undefined, {
          onSuccess: () => {
            setName("");
            setModel("");
            setAddress("");
            setKey("");
          },
        })
      }
    >
      {keep.error && <ErrorBox error={keep.error} className="w-full" />}
      <Field label="Name" className="min-w-28 flex-1">
        {(given) => <Input {...given} placeholder="fast" value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <Field label="Model" className="min-w-52 flex-1">
        {(given) => <Input {...given} placeholder="PROVIDER:NAME" className="font-mono text-xs" value={model} onChange={(event) => setModel(event.target.value)} />}
      </Field>
      <Field label="Address" className="min-w-52 flex-1">
        {(given) => <Input {...given} placeholder="the provider's own" className="font-mono text-xs" value={address} onChange={(event) => setAddress(event.target.value)} />}
      </Field>
      <Field label="Key" className="min-w-36 flex-1">
        {(given) => <Input {...given} type="password" autoComplete="new-password" value={key} onChange={(event) => setKey(event.target.value)} />}
      </Field>
      <Check label="default" checked={standard} onChange={(event) => setStandard(event.target.checked)} />
      <Button type="submit" look="primary" busy={keep.isPending} disabled={name.trim() === "" || model.trim() === ""} className="max-sm:w-full">
        Ask and keep
      </Button>
    </Card>
  );
}
