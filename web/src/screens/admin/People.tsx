import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { type Schema, api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Field, Input, Select, TextArea } from "../../parts/Field";
import { ErrorBox } from "../../parts/Says";
import { Section, Table } from "../../parts/Section";
import { Badge } from "../../parts/State";
import { ago, plural } from "../../parts/words";
import { Asked, Card, useListChange } from "./lists";

type Role = Schema<"Role">;
type Team = Schema<"Team">;

const ROLES: [Role, string][] = [
  ["viewer", "Viewer: looks"],
  ["member", "Member: hands in and steers"],
  ["admin", "Admin: everything"],
];

const usersQuery = { queryKey: ["users"], queryFn: () => got(api.GET("/api/v1/users")) };

export function Users() {
  const users = useQuery(usersQuery);
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("member");
  const add = useListChange("users", () => got(api.POST("/api/v1/users", { body: { name: name.trim(), role, email: email.trim() || null } })), "The user is made; a token, or OpenID Connect, lets them in");
  const change = useListChange("users", ({ user, to }: { user: string; to: Role }) => got(api.PATCH("/api/v1/users/{user}", { params: { path: { user } }, body: { role: to } })), "It holds from their next request on");
  const remove = useListChange("users", (user: string) => got(api.DELETE("/api/v1/users/{user}", { params: { path: { user } } })), "Let in no more");
  return (
    <Section title="Users" about="What a user sees is what their teams have; an admin sees everything.">
      {(change.error ?? remove.error) && <ErrorBox error={change.error ?? remove.error} className="mb-3" />}
      <Asked query={users}>
        {(all) =>
          all.length === 0 ? (
            <p className="rounded-md bg-raised px-3 py-4 text-sm text-text-2 shadow-raised">None yet: whoever has a token of the house is its admin. Make users to share this server with a team.</p>
          ) : (
            <Table label="Users" head={[{ name: "Name" }, { name: "Address" }, { name: "Role" }, { name: "Signs in by" }, { name: "Made", right: true }, { name: "Acts", hidden: true }]}>
              {all.map((user) => (
                <tr key={user.id} className={user.removed ? "bg-sunken" : undefined}>
                  <td className="font-medium">{user.name}</td>
                  <td className="text-text-2">{user.email ?? "–"}</td>
                  <td>
                    {user.removed ? (
                      <Badge>removed</Badge>
                    ) : (
                      <Select aria-label={`Role of ${user.name}`} className="w-auto" value={user.role} onChange={(event) => change.mutate({ user: user.name, to: event.target.value as Role })}>
                        {ROLES.map(([one]) => (
                          <option key={one} value={one}>
                            {one}
                          </option>
                        ))}
                      </Select>
                    )}
                  </td>
                  <td className="text-xs text-text-2">{user.issuer ?? "token"}</td>
                  <td className="text-right text-xs whitespace-nowrap text-text-3">{ago(user.created)}</td>
                  <td className="text-right">
                    {!user.removed && (
                      <Button size="sm" look="danger" aria-label={`Remove ${user.name}`} onClick={() => remove.mutate(user.name)}>
                        Remove
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </Table>
          )
        }
      </Asked>
      <Card title="New user" onSubmit={() => add.mutate(undefined, { onSuccess: () => (setName(""), setEmail("")) })}>
        {add.error && <ErrorBox error={add.error} className="w-full" />}
        <Field label="Name" className="min-w-36 flex-1">
          {(given) => <Input {...given} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <Field label="Mail address" className="min-w-44 flex-1">
          {(given) => <Input {...given} type="email" value={email} onChange={(event) => setEmail(event.target.value)} />}
        </Field>
        <Field label="Role" className="min-w-44">
          {(given) => (
            <Select {...given} value={role} onChange={(event) => setRole(event.target.value as Role)}>
              {ROLES.map(([one, words]) => (
                <option key={one} value={one}>
                  {words}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Button type="submit" look="primary" busy={add.isPending} disabled={name.trim() === ""} className="max-sm:w-full">
          Make
        </Button>
      </Card>
    </Section>
  );
}

export function Teams() {
  const teams = useQuery({ queryKey: ["teams"], queryFn: () => got(api.GET("/api/v1/teams")) });
  const [edited, setEdited] = useState<Team | "new" | null>(null);
  const remove = useListChange("teams", (team: string) => got(api.DELETE("/api/v1/teams/{team}", { params: { path: { team } } })), "The team is forgotten");
  return (
    <Section
      title="Teams"
      about="People, and the repositories whose tasks they see."
      action={
        <Button size="sm" look="primary" icon="plus" onClick={() => setEdited("new")}>
          New team
        </Button>
      }
    >
      {remove.error && <ErrorBox error={remove.error} className="mb-3" />}
      <Asked query={teams}>
        {(all) =>
          all.length === 0 ? (
            <p className="rounded-md bg-raised px-3 py-4 text-sm text-text-2 shadow-raised">None yet: members and viewers see nothing until a team of theirs has a repository.</p>
          ) : (
            <ul className="grid gap-3 sm:grid-cols-2">
              {all.map((team) => (
                <li key={team.name} className="rounded-md bg-raised p-3 shadow-raised">
                  <div className="flex items-center justify-between gap-2">
                    <h3 className="font-semibold">{team.name}</h3>
                    <span className="flex gap-1.5">
                      <Button size="sm" aria-label={`Change ${team.name}`} onClick={() => setEdited(team)}>
                        Change
                      </Button>
                      <Button size="sm" look="danger" aria-label={`Forget ${team.name}`} onClick={() => remove.mutate(team.name)}>
                        Forget
                      </Button>
                    </span>
                  </div>
                  <p className="mt-1 text-xs text-text-2">{team.members?.length ? team.members.join(", ") : "nobody yet"}</p>
                  <ul className="mt-2 flex flex-col gap-0.5">
                    {(team.repositories ?? []).map((one) => (
                      <li key={one} className="truncate font-mono text-xs text-text-2" title={one}>
                        {one === "*" ? "every repository" : one}
                      </li>
                    ))}
                    {!team.repositories?.length && <li className="text-xs text-text-3">{plural(0, "repository", "repositories")}</li>}
                  </ul>
                </li>
              ))}
            </ul>
          )
        }
      </Asked>
      {edited && <TeamDialog team={edited === "new" ? null : edited} onClose={() => setEdited(null)} />}
    </Section>
  );
}

const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);

function TeamDialog({ team, onClose }: { team: Team | null; onClose: () => void }) {
  const [name, setName] = useState(team?.name ?? "");
  const [members, setMembers] = useState((team?.members ?? []).join("\n"));
  const [repositories, setRepositories] = useState((team?.repositories ?? []).join("\n"));
  const save = useListChange(
    "teams",
    () => {
      const contents = { members: words(members), repositories: words(repositories) };
      return got<Team>(team ? api.PUT("/api/v1/teams/{team}", { params: { path: { team: team.name } }, body: contents }) : api.POST("/api/v1/teams", { body: { name: name.trim(), ...contents } }));
    },
    "The team is kept",
  );
  return (
    <Dialog
      title={team ? `Team ${team.name}` : "New team"}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" busy={save.isPending} disabled={name.trim() === ""} onClick={() => save.mutate(undefined, { onSuccess: onClose })}>
            Keep
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3">
        {save.error && <ErrorBox error={save.error} />}
        {!team && <Field label="Name">{(given) => <Input {...given} value={name} onChange={(event) => setName(event.target.value)} />}</Field>}
        <Field label="Members" hint="Names of users, one in a line.">
          {(given) => <TextArea {...given} value={members} onChange={(event) => setMembers(event.target.value)} />}
        </Field>
        <Field label="Repositories" hint="URLs or absolute paths, one in a line; /* at its end for all below, * for every one.">
          {(given) => <TextArea {...given} className="font-mono text-xs" value={repositories} onChange={(event) => setRepositories(event.target.value)} />}
        </Field>
      </div>
    </Dialog>
  );
}
