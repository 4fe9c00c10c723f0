import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { type Schema, api, got } from "../../api/client";
import { useMay } from "../../api/queries";
import { Button } from "../../parts/Button";
import { Copy } from "../../parts/Copy";
import { Dialog } from "../../parts/Dialog";
import { Field, Input, Select } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section, Table } from "../../parts/Section";
import { Badge } from "../../parts/State";
import { ago } from "../../parts/words";
import { Asked, Card, useListChange } from "./lists";

type Scope = Schema<"Scope">;

const SCOPES: [Scope, string][] = [
  ["read", "Read: look at everything"],
  ["write", "Write: hand in and steer"],
  ["admin", "Admin: everything"],
];

export function Tokens() {
  const may = useMay();
  const tokens = useQuery({ queryKey: ["tokens"], queryFn: () => got(api.GET("/api/v1/tokens")) });
  const users = useQuery({ queryKey: ["users"], queryFn: () => got(api.GET("/api/v1/users")), enabled: may.admin }).data ?? [];
  const [name, setName] = useState("");
  const [scope, setScope] = useState<Scope>("write");
  const [user, setUser] = useState("");
  const [secret, setSecret] = useState<string | null>(null);
  const make = useListChange("tokens", () => got(api.POST("/api/v1/tokens", { body: { name: name.trim(), scope, ...(user ? { user } : {}) } })), "The token is made");
  const revoke = useListChange("tokens", (token: string) => got(api.DELETE("/api/v1/tokens/{token}", { params: { path: { token } } })), "From the next request on it is worth nothing");
  const offered = SCOPES.filter(([one]) => one === "read" || (one === "write" && may.write) || may.admin);
  const nameOf = (id: string | null) => (id === null ? "the house" : (users.find((one) => one.id === id)?.name ?? id));
  return (
    <Section title="Tokens" about="Programs and browsers are known by them. What a token is cannot be read back.">
      {revoke.error && <ErrorBox error={revoke.error} className="mb-3" />}
      <Asked query={tokens}>
        {(all) => (
          <Table label="Tokens" head={[{ name: "Name" }, { name: "Scope" }, { name: "Speaks for" }, { name: "Used", right: true }, { name: "Made", right: true }, { name: "Acts", hidden: true }]}>
            {all.map((token) => (
              <tr key={token.id} className={token.revoked ? "bg-sunken" : undefined}>
                <td className="font-medium">{token.name}</td>
                <td>
                  <Badge tone={token.scope === "admin" ? "warn" : "plain"}>{token.scope}</Badge>
                </td>
                <td className="text-text-2">{nameOf(token.user ?? null)}</td>
                <td className="text-right text-xs whitespace-nowrap text-text-3">{token.used ? ago(token.used) : "never"}</td>
                <td className="text-right text-xs whitespace-nowrap text-text-3">{ago(token.created)}</td>
                <td className="text-right">
                  {token.revoked ? (
                    <Badge>revoked</Badge>
                  ) : (
                    <Button size="sm" look="danger" aria-label={`Revoke ${token.name}`} onClick={() => revoke.mutate(token.id)}>
                      Revoke
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Asked>
      <Card
        title="New token"
        onSubmit={() =>
          make.mutate(undefined, {
            onSuccess: (made) => {
              setName("");
              setSecret(made.secret);
            },
          })
        }
      >
        {make.error && <ErrorBox error={make.error} className="w-full" />}
        <Field label="Where it is going to be used" className="min-w-48 flex-1">
          {(given) => <Input {...given} placeholder="laptop, build server" value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <Field label="Scope" className="min-w-44">
          {(given) => (
            <Select {...given} value={scope} onChange={(event) => setScope(event.target.value as Scope)}>
              {offered.map(([one, words]) => (
                <option key={one} value={one}>
                  {words}
                </option>
              ))}
            </Select>
          )}
        </Field>
        {users.length > 0 && (
          <Field label="For" className="min-w-36">
            {(given) => (
              <Select {...given} value={user} onChange={(event) => setUser(event.target.value)}>
                <option value="">me</option>
                {users
                  .filter((one) => !one.removed)
                  .map((one) => (
                    <option key={one.id} value={one.name}>
                      {one.name}
                    </option>
                  ))}
              </Select>
            )}
          </Field>
        )}
        <Button type="submit" look="primary" busy={make.isPending} disabled={name.trim() === ""} className="max-sm:w-full">
          Make
        </Button>
      </Card>
      {secret !== null && (
        <Dialog title="The new token" onClose={() => setSecret(null)} footer={<Button onClick={() => setSecret(null)}>I have it</Button>}>
          <p className="mb-3 text-text-2">It is shown this once. Take it along now; if it gets lost, revoke it and make another.</p>
          <Copy text={secret} label="Copy the token" />
        </Dialog>
      )}
    </Section>
  );
}
