import { useMemo, useState } from "react";

import { cls } from "../../parts/class";
import type { DiffFile } from "../../parts/Diff";
import { Icon } from "../../parts/Icon";

interface Folder {
  name: string;
  path: string;
  folders: Map<string, Folder>;
  files: DiffFile[];
}

interface Row {
  depth: number;
  path: string;
  name: string;
  file: DiffFile | null;
}

/** The files as a tree, from its root; folders that hold one folder alone are one row with it. */
function treeOf(files: DiffFile[]): Folder {
  const root: Folder = { name: "", path: "", folders: new Map(), files: [] };
  for (const file of files) {
    let here = root;
    for (const name of file.path.split("/").slice(0, -1)) {
      const path = here.path ? `${here.path}/${name}` : name;
      const next = here.folders.get(name) ?? { name, path, folders: new Map(), files: [] };
      here.folders.set(name, next);
      here = next;
    }
    here.files.push(file);
  }
  return root;
}

function rowsOf(folder: Folder, shut: ReadonlySet<string>, depth = 0): Row[] {
  const rows: Row[] = [];
  for (const child of folder.folders.values()) {
    let names = child.name;
    let last = child;
    for (let only = [...last.folders.values()]; only.length === 1 && last.files.length === 0; only = [...last.folders.values()]) {
      last = only[0] as Folder;
      names += `/${last.name}`;
    }
    rows.push({ depth, path: last.path, name: names, file: null });
    if (!shut.has(last.path)) rows.push(...rowsOf(last, shut, depth + 1));
  }
  for (const file of folder.files) rows.push({ depth, path: file.path, name: file.path.split("/").at(-1) ?? file.path, file });
  return rows;
}

/** The order of the tree, for those who go from one file to the next. */
export const inTreeOrder = (files: DiffFile[]): DiffFile[] => rowsOf(treeOf(files), new Set()).flatMap((row) => row.file ?? []);

const KIND = {
  new: { sign: "A", words: "added", tone: "text-good" },
  deleted: { sign: "D", words: "deleted", tone: "text-bad" },
  change: { sign: "M", words: "changed", tone: "text-text-3" },
  "rename-pure": { sign: "R", words: "renamed", tone: "text-text-3" },
  "rename-changed": { sign: "R", words: "renamed", tone: "text-text-3" },
} as const;

/** The changed files. */
export function FileTree({
  files,
  current,
  viewed,
  commented,
  onChoose,
}: {
  files: DiffFile[];
  current: string | undefined;
  viewed: ReadonlySet<string>;
  commented: ReadonlySet<string>;
  onChoose: (path: string) => void;
}) {
  const [words, setWords] = useState("");
  const [shut, setShut] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(() => {
    const asked = words.trim().toLowerCase();
    return rowsOf(treeOf(files.filter((file) => file.path.toLowerCase().includes(asked))), asked ? new Set() : shut);
  }, [files, words, shut]);
  return (
    <nav aria-label="Changed files" className="flex min-h-0 flex-1 flex-col">
      <label className="relative m-2 flex items-center">
        <span className="sr-only">Filter files</span>
        <Icon name="filter" size={14} className="pointer-events-none absolute left-2 text-text-3" />
        <input
          type="search"
          placeholder="Filter files"
          value={words}
          onChange={(event) => setWords(event.target.value)}
          className="h-7 w-full rounded border border-control bg-raised pr-2 pl-7 text-xs placeholder:text-text-3 max-sm:h-10 max-sm:text-base"
        />
      </label>
      <ul className="scroll-quiet min-h-0 flex-1 overflow-y-auto px-1 pb-3">
        {rows.map(({ depth, path, name, file }) => (
          <li key={file ? `f ${path}` : `d ${path}`} style={{ contentVisibility: "auto", containIntrinsicSize: "auto 28px" }}>
            <button
              type="button"
              title={path}
              aria-current={file && path === current ? "true" : undefined}
              aria-expanded={file ? undefined : !shut.has(path)}
              onClick={() => (file ? onChoose(path) : setShut(new Set(shut.has(path) ? [...shut].filter((one) => one !== path) : [...shut, path])))}
              style={{ paddingLeft: 6 + depth * 12 }}
              className={cls(
                "flex h-7 w-full items-center gap-1.5 rounded-sm pr-2 text-left text-xs focus-visible:-outline-offset-2 max-sm:h-10 max-sm:text-sm",
                file && path === current ? "bg-selected font-medium" : "hover:bg-hover",
                file ? "text-text" : "text-text-2",
              )}
            >
              {file ? <FileSign file={file} seen={viewed.has(path)} /> : <Icon name={shut.has(path) ? "right" : "down"} size={12} className="shrink-0 text-text-3" />}
              <span className={cls("min-w-0 flex-1 truncate", file && viewed.has(path) && "text-text-3")}>{name}</span>
              {commented.has(path) && file && <span className="size-1.5 shrink-0 rounded-full bg-accent" title="Has comments" />}
              {file && (
                <span aria-hidden="true" className="tabular shrink-0 text-2xs">
                  <span className="text-good">+{file.insertions}</span> <span className="text-bad">−{file.deletions}</span>
                </span>
              )}
            </button>
          </li>
        ))}
        {rows.length === 0 && <li className="px-2 py-3 text-xs text-text-3">No file has “{words}” in its name.</li>}
      </ul>
    </nav>
  );
}

function FileSign({ file, seen }: { file: DiffFile; seen: boolean }) {
  const { sign, words, tone } = KIND[file.parsed.type];
  if (seen) return <Icon name="check" size={12} className="shrink-0 text-good" />;
  return (
    <span title={words} className={cls("w-3 shrink-0 text-center font-mono text-2xs font-semibold", tone)}>
      {sign}
    </span>
  );
}
