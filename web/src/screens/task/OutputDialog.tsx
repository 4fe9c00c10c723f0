import { Dialog } from "../../parts/Dialog";
import type { Call } from "./attempt";
import { useRangedLines } from "./lines";
import { LogView } from "./LogView";

/** All that one call printed. */
export function OutputDialog({ call, onClose }: { call: Call; onClose: () => void }) {
  const output = call.output;
  const address = output ? `/api/v1/attempts/${encodeURIComponent(output.log)}/outputs/${output.number}` : "";
  const read = useRangedLines(address, output?.size ?? 0);
  const command = call.arguments["cmd"];
  return (
    <Dialog title={typeof command === "string" ? command.slice(0, 120) : call.name} wide tall onClose={onClose}>
      <LogView lines={read.lines} label="what it printed" reading={read.reading} error={read.error} read={read} address={address} className="h-full" />
    </Dialog>
  );
}
