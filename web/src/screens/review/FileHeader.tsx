import { Button, IconButton } from "../../parts/Button";
import { cls } from "../../parts/class";
import type { DiffFile } from "../../parts/Diff";
import { Icon } from "../../parts/Icon";
import { Badge, Diffstat } from "../../parts/State";

/** What stands above the lines of a file. */
export function FileHeader({
  file,
  folded,
  onFold,
  seen,
  onSeen,
  onComment,
}: {
  file: DiffFile;
  folded: boolean;
  onFold: () => void;
  seen?: boolean;
  onSeen?: (seen: boolean) => void;
  onComment?: () => void;
}) {
  const cut = file.path.lastIndexOf("/") + 1;
  const empty = file.parsed.hunks.length === 0;
  return (
    <div className="flex h-full items-center gap-2 border-y border-line bg-raised px-2 font-sans text-xs text-text">
      <button type="button" aria-expanded={!folded} aria-label={`${folded ? "Show" : "Hide"} ${file.path}`} onClick={onFold} className="-m-1.25 rounded p-1.25 text-text-3 hover:bg-hover">
        <Icon name={folded ? "right" : "down"} size={14} />
      </button>
      <h3 title={file.path} className="flex min-w-0 flex-1 font-mono">
        <span className="truncate text-text-3 max-sm:hidden">{file.path.slice(0, cut)}</span>
        <span className="shrink-0 font-semibold max-sm:shrink max-sm:truncate">{file.path.slice(cut)}</span>
      </h3>
      {file.parsed.type === "new" && <Badge tone="good">New</Badge>}
      {file.parsed.type === "deleted" && <Badge tone="bad">Deleted</Badge>}
      {empty ? <Badge>Not text, or only its mode</Badge> : <Diffstat insertions={file.insertions} deletions={file.deletions} />}
      {onComment && <IconButton icon="comment" label={`Comment on ${file.path}`} onClick={onComment} />}
      {onSeen && (
        <label className={cls("flex h-7 cursor-pointer items-center gap-1.5 rounded border px-2 max-sm:h-9", seen ? "border-transparent bg-selected font-medium" : "border-line-strong hover:bg-hover")}>
          <input type="checkbox" checked={seen ?? false} onChange={(event) => onSeen(event.target.checked)} className="size-3.5 accent-accent" aria-label={`Viewed ${file.path}`} />
          Viewed
        </label>
      )}
    </div>
  );
}

/** Unified or side by side. */
export function Layout({ split, onSplit }: { split: boolean; onSplit: (split: boolean) => void }) {
  return (
    <div role="group" aria-label="How changes are shown" className="flex rounded border border-line-strong p-px max-md:hidden">
      {[false, true].map((one) => (
        <Button key={String(one)} size="sm" look="quiet" aria-pressed={split === one} onClick={() => onSplit(one)} className={cls("h-6!", split === one && "bg-pressed text-text!")}>
          {one ? "Split" : "Unified"}
        </Button>
      ))}
    </div>
  );
}
