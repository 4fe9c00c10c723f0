import { useQuery } from "@tanstack/react-query";
import { createLazyRoute, Link, useNavigate, useSearch } from "@tanstack/react-router";

import { useMay } from "../../api/queries";
import { buttonClass } from "../../parts/Button";
import { cls } from "../../parts/class";
import { Select } from "../../parts/Field";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { plural } from "../../parts/words";
import { useCommands } from "../../shell/keys";
import { repositoriesQuery } from "../home/choices";
import { environmentQuery, type EnvironmentView } from "./environment";
import { InternetPolicy } from "./InternetPolicy";
import { Layers } from "./Layers";
import { Machine } from "./Machine";
import { Runs } from "./Runs";
import { Credentials, Secrets } from "./Secrets";
import { Settings } from "./Settings";

function Environments() {
  const search = useSearch({ from: "/environments" });
  const navigate = useNavigate();
  const repositories = useQuery(repositoriesQuery);
  const known = repositories.data?.items ?? [];
  const chosen = known.find((one) => one.key === search.repository) ?? known[0];
  const choose = (key: string) => void navigate({ to: "/environments", search: { repository: key }, replace: true });
  const step = (by: number) => {
    const next = known[known.findIndex((one) => one.key === chosen?.key) + by];
    if (next) choose(next.key);
  };
  useCommands([
    { group: "List", label: "Next repository", keys: "j", hidden: true, act: () => step(1) },
    { group: "List", label: "Previous repository", keys: "k", hidden: true, act: () => step(-1) },
  ]);

  if (repositories.error) return <ErrorBox error={repositories.error} again={() => void repositories.refetch()} className="m-4" />;
  if (repositories.isPending) return <Loading lines={6} />;
  if (!chosen) {
    return (
      <Empty
        icon="box"
        title="No repository is known yet"
        action={
          <Link to="/" search={{ compose: true }} className={buttonClass({ look: "primary" })}>
            Hand in a task
          </Link>
        }
      >
        A repository becomes known with its first task. Its language, setup and check command are read off its files then, and shown here with the reasons.
      </Empty>
    );
  }
  return (
    <div className="flex h-full max-md:flex-col">
      <nav aria-label="Repositories" className="scroll-quiet w-64 shrink-0 overflow-y-auto border-r border-line p-2 max-md:hidden">
        {known.map((one) => (
          <button
            key={one.key}
            type="button"
            aria-current={one.key === chosen.key ? "true" : undefined}
            onClick={() => choose(one.key)}
            className={cls("block w-full rounded px-2.5 py-1.5 text-left", one.key === chosen.key ? "bg-selected" : "hover:bg-hover")}
          >
            <span className="block truncate text-sm font-medium">{one.name}</span>
            <span className="block truncate text-xs text-text-3">
              {plural(one.tasks, "task")} · {one.location}
            </span>
          </button>
        ))}
      </nav>
      <div className="border-b border-line px-3 py-2 md:hidden">
        <Select aria-label="Repository" value={chosen.key} onChange={(event) => choose(event.target.value)}>
          {known.map((one) => (
            <option key={one.key} value={one.key}>
              {one.name}
            </option>
          ))}
        </Select>
      </div>
      <div className="scroll-quiet min-h-0 min-w-0 flex-1 overflow-y-auto">
        <Shown key={chosen.key} name={chosen.name} repository={chosen.key} />
      </div>
    </div>
  );
}

function Shown({ name, repository }: { name: string; repository: string }) {
  const environment = useQuery(environmentQuery(repository));
  const may = useMay();
  return (
    <div className="mx-auto flex w-full max-w-4xl flex-col gap-8 px-4 py-5 max-sm:px-3">
      <h1 className="sr-only">Environment of {name}</h1>
      {environment.error && !environment.data && <ErrorBox error={environment.error} again={() => void environment.refetch()} />}
      {environment.isPending && !environment.error && <Loading lines={8} />}
      {environment.data && <Parts view={environment.data} may={may} />}
    </div>
  );
}

function Parts({ view, may }: { view: EnvironmentView; may: ReturnType<typeof useMay> }) {
  return (
    <>
      <Settings view={view} may={may} />
      <Runs view={view} />
      <InternetPolicy view={view} admin={may.admin} />
      <Secrets view={view} admin={may.admin} />
      <Credentials view={view} admin={may.admin} />
      <Machine repository={view.repository.key} admin={may.admin} />
      <Layers view={view} admin={may.admin} />
    </>
  );
}

export const Route = createLazyRoute("/environments")({ component: Environments });
