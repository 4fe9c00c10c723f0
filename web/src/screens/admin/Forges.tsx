import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { type Schema, api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Field, Input, Select } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section, Table } from "../../parts/Section";
import { Webhook } from "./Webhook";
import { Asked, Card, useListChange } from "./lists";

type Kind = Schema<"ForgeOrder">["kind"];

const SOURCES: Record<string, string> = { added: "added here", configured: "the settings", known: "known to everybody" };

export function Forges() {
  const forges = useQuery({ queryKey: ["forges"], queryFn: () => got(api.GET("/api/v1/forges")) });
  const [url, setUrl] = useState("");
  const [kind, setKind] = useState<Kind>("gitea");
  const [token, setToken] = useState("");
  const [repository, setRepository] = useState("");
  const [hook, setHook] = useState<string | null>(null);
  const add = useListChange("forges", () => got(api.POST("/api/v1/forges", { body: { url: url.trim(), kind, token: token || null } })), "The forge is known");
  const remove = useListChange("forges", (host: string) => got(api.DELETE("/api/v1/forges/{host}", { params: { path: { host } } })), "The forge is forgotten");
  const test = useMutation({ mutationFn: () => got(api.POST("/api/v1/forges/test", { body: { repository: repository.trim() } })) });
  return (
    <Section title="Forges" about={
        <>
          Where pull requests are offered. Apps, and tokens in variables and files, are named by <code className="font-mono">pullwright forge add</code>.
        </>
      }>
      {hook && <Webhook host={hook} onClose={() => setHook(null)} />}
      {remove.error && <ErrorBox error={remove.error} className="mb-3" />}
      <Asked query={forges}>
        {(all) => (
          <Table label="Forges" head={[{ name: "Host" }, { name: "Kind" }, { name: "From" }, { name: "Signs in with" }, { name: "Acts", hidden: true }]}>
            {all.map((one) => (
              <tr key={one.host}>
                <td className="font-medium">{one.host}</td>
                <td>{one.kind}</td>
                <td className="text-xs text-text-2">{SOURCES[one.source]}</td>
                <td className="text-xs text-text-2">{one.signs_in ?? "nothing: branches only"}</td>
                <td className="text-right whitespace-nowrap">
                  {one.kind !== "git" && (
                    <Button size="sm" aria-label={`Webhook of ${one.host}`} onClick={() => setHook(one.host)}>
                      Webhook
                    </Button>
                  )}{" "}
                  {one.source === "added" && (
                    <Button size="sm" look="danger" aria-label={`Forget ${one.host}`} onClick={() => remove.mutate(one.host)}>
                      Forget
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Asked>
      <Card
        title="New forge"
        onSubmit={() =>
          add.mutate(undefined, {
            onSuccess: () => {
              setUrl("");
              setToken("");
            },
          })
        }
      >
        {add.error && <ErrorBox error={add.error} className="w-full" />}
        <Field label="Address" className="min-w-52 flex-1">
          {(given) => <Input {...given} placeholder="https://git.example.com" value={url} onChange={(event) => setUrl(event.target.value)} />}
        </Field>
        <Field label="Kind" className="min-w-32">
          {(given) => (
            <Select {...given} value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
              {(["gitea", "gitlab", "github", "git"] as Kind[]).map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="Token" className="min-w-40 flex-1">
          {(given) => <Input {...given} type="password" autoComplete="new-password" value={token} onChange={(event) => setToken(event.target.value)} />}
        </Field>
        <Button type="submit" look="primary" busy={add.isPending} disabled={url.trim() === ""} className="max-sm:w-full">
          Add
        </Button>
      </Card>
      <Card title="Try a repository" onSubmit={() => test.mutate()}>
        {test.error && <ErrorBox error={test.error} className="w-full" />}
        {test.data && (
          <p role="status" className={`w-full rounded-md px-3 py-2 text-sm ${test.data.ok ? "bg-good-soft" : "bg-bad-soft"}`}>
            {test.data.text}
          </p>
        )}
        <Field label="Repository" hint="Nothing is written: only whether it could be is asked." className="min-w-60 flex-1">
          {(given) => <Input {...given} placeholder="https://git.example.com/acme/shop" value={repository} onChange={(event) => setRepository(event.target.value)} />}
        </Field>
        <Button type="submit" busy={test.isPending} disabled={repository.trim() === ""} className="max-sm:w-full">
          Try
        </Button>
      </Card>
    </Section>
  );
}
