import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { cls } from "../../parts/class";
import { Diff, type DiffFile } from "../../parts/Diff";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { changeQuery, useFileReader } from "../review/change";
import { FileHeader, Layout } from "../review/FileHeader";
import { inTreeOrder } from "../review/FileTree";
import { type Column, type Comparison, nameIn } from "./comparison";

const NONE: DiffFile[] = [];

/** Two attempts side by side, file by file: what the right one has otherwise than the left one. */
export function Pair({ left, right, comparison }: { left: Column; right: Column; comparison: Comparison }) {
  const span = { attempt: right.id, against: left.id };
  const change = useQuery(changeQuery(span, `${left.state}${left.insertions}-${right.state}${right.insertions}`));
  const read = useFileReader(span);
  const [split, setSplit] = useState(true);
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const differing = useMemo(() => (change.data ? inTreeOrder(change.data) : NONE), [change.data]);
  const fold = (path: string) => setFolded((before) => new Set(before.has(path) ? [...before].filter((one) => one !== path) : [...before, path]));
  return (
    <section aria-labelledby="pair" className="flex min-h-128 flex-1 flex-col border-t border-line">
      <header className="flex shrink-0 items-center gap-3 bg-raised px-4 py-2">
        <h2 id="pair" className="min-w-0 flex-1 text-sm font-semibold">
          {nameIn(comparison, left)} <span className="font-normal text-text-2">({left.model ?? left.engine})</span> beside {nameIn(comparison, right).replace(/^A/, "a")}{" "}
          <span className="font-normal text-text-2">({right.model ?? right.engine})</span>
        </h2>
        <Layout split={split} onSplit={setSplit} />
      </header>
      <Files left={left} right={right} comparison={comparison} differing={new Set(differing.map((file) => file.path))} />
      {change.error && <ErrorBox error={change.error} again={() => void change.refetch()} className="m-4" />}
      {change.isPending && <Loading lines={8} label="Reading both changes" />}
      {change.data?.length === 0 && (
        <Empty icon="check" title="No difference">
          The two attempts leave the same files behind.
        </Empty>
      )}
      {differing.length > 0 && (
        <Diff
          files={differing}
          split={split}
          folded={folded}
          notes={[]}
          renderNote={() => null}
          read={read}
          renderHeader={(file) => <FileHeader file={file} folded={folded.has(file.path)} onFold={() => fold(file.path)} />}
          className="min-h-0 flex-1"
        />
      )}
    </section>
  );
}

function cellOf(row: Comparison["files"][number], column: Column) {
  const cell = row.cells.find((one) => one.attempt === column.id);
  return cell ? `+${cell.insertions ?? "?"} −${cell.deletions ?? "?"}` : "not touched";
}

/** Which of the two touched what. */
function Files({ left, right, comparison, differing }: { left: Column; right: Column; comparison: Comparison; differing: ReadonlySet<string> }) {
  const rows = comparison.files.filter((row) => row.cells.some((cell) => cell.attempt === left.id || cell.attempt === right.id));
  if (rows.length === 0) return null;
  return (
    <details className="shrink-0 border-y border-line bg-ground" open={rows.length <= 8}>
      <summary className="px-4 py-1.5 text-xs text-text-2">Files of both</summary>
      <div tabIndex={0} role="region" aria-label="Files of both" className="scroll-quiet relative max-h-56 overflow-auto px-4 pb-2 focus-visible:-outline-offset-2">
        <table className="w-full text-xs">
          <thead className="text-left text-text-2">
            <tr>
              <th scope="col" className="py-1 align-bottom font-medium">
                File
              </th>
              <th scope="col" className="pr-4 align-bottom font-medium">
                {nameIn(comparison, left)}
              </th>
              <th scope="col" className="pr-4 align-bottom font-medium">
                {nameIn(comparison, right)}
              </th>
              <th scope="col" className="font-medium">
                <span className="sr-only">Whether they agree</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.path} className="border-t border-line">
                <th scope="row" className="py-1 text-left font-mono font-normal break-all">
                  {row.path}
                </th>
                {[left, right].map((column) => (
                  <td key={column.id} className={cls("tabular pr-4 whitespace-nowrap", !row.cells.some((cell) => cell.attempt === column.id) && "text-text-3")}>
                    {cellOf(row, column)}
                  </td>
                ))}
                <td className="text-right whitespace-nowrap text-text-2">{differing.has(row.path) ? "differ" : "the same"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
