import { useQuery } from "@tanstack/react-query";

import { text } from "../../api/client";
import { asFailure } from "../../api/problem";
import { Dialog } from "../../parts/Dialog";
import { linesOf } from "../task/lines";
import { LogView } from "../task/LogView";
import type { Proof } from "./change";

const SIDES = { base: "the base", head: "the change", judged: "the change with the base's tests", "new-tests": "the base with the new tests" } as const;

/** What a run of the check command printed, from the line that a test is spoken of in. */
export function CheckLog({ attempt, check, line, onClose }: { attempt: string; check: Proof["checks"][number]; line: number | null; onClose: () => void }) {
  const address = `/api/v1/attempts/${encodeURIComponent(attempt)}/checks/${check.number}/log`;
  const log = useQuery({
    queryKey: ["check-log", attempt, check.number, check.commit],
    queryFn: async ({ signal }) => linesOf(await text(address, signal)),
    staleTime: Infinity,
  });
  return (
    <Dialog title={`Run ${check.number}, on ${SIDES[check.side]}`} onClose={onClose} wide>
      <LogView lines={log.data ?? []} label="the log of the run" reading={log.isPending} error={log.error ? asFailure(log.error) : null} address={address} at={line} className="-m-4 h-[60vh]" />
    </Dialog>
  );
}
