import { createLazyRoute, useNavigate, useSearch } from "@tanstack/react-router";

import { useMay } from "../../api/queries";
import { Tabs } from "../../parts/Tabs";
import { Disk } from "./Disk";
import { Doctor } from "./Doctor";
import { Forges } from "./Forges";
import { Limits } from "./Limits";
import { Models } from "./Models";
import { Teams, Users } from "./People";
import { Queue } from "./Queue";
import { Tokens } from "./Tokens";

const PARTS = {
  queue: { label: "Queue", show: Queue },
  users: { label: "Users", show: Users },
  teams: { label: "Teams", show: Teams },
  tokens: { label: "Tokens", show: Tokens },
  models: { label: "Models", show: Models },
  forges: { label: "Forges", show: Forges },
  disk: { label: "Disk", show: Disk },
  limits: { label: "Limits", show: Limits },
  doctor: { label: "Doctor", show: Doctor },
} as const;

type Part = keyof typeof PARTS;

function Admin() {
  const { part } = useSearch({ from: "/admin" });
  const navigate = useNavigate();
  const may = useMay();
  // Whoever is no admin has their own tokens here, and nothing else.
  const offered = (Object.keys(PARTS) as Part[]).filter((name) => may.admin || name === "tokens");
  const chosen = offered.find((name) => name === part) ?? offered[0] ?? "tokens";
  const { show: Shown } = PARTS[chosen];
  return (
    <div className="scroll-quiet h-full overflow-y-auto">
      <div className="mx-auto w-full max-w-5xl px-4 py-5 max-sm:px-3">
        <h1 className="mb-2 text-lg font-semibold">{may.admin ? "Admin" : "Your tokens"}</h1>
        <Tabs label="Parts" tabs={offered.map((name) => ({ name, label: PARTS[name].label }))} chosen={chosen} onChoose={(name) => void navigate({ to: "/admin", search: { part: name }, replace: true })} panelClass="pt-5">
          <Shown />
        </Tabs>
      </div>
    </div>
  );
}

export const Route = createLazyRoute("/admin")({ component: Admin });
