import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import type { Attempt } from "../../api/queries";
import { Button } from "../../parts/Button";
import { cls } from "../../parts/class";
import { Diff, type DiffFile, type DiffHandle } from "../../parts/Diff";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { useCommands } from "../../shell/keys";
import { changeQuery, useFileReader } from "./change";
import { FileHeader, Layout } from "./FileHeader";
import { FileTree, inTreeOrder } from "./FileTree";
import { type Comment, type useComments, useViewed } from "./marks";
import { Note } from "./Note";

const route = getRouteApi("/tasks/$task/review");
const LAYOUT = "pullwright.diff";
const NONE: DiffFile[] = [];

/** The changed files with their lines. */
export function Changes({ attempt, comments }: { attempt: Attempt; comments: ReturnType<typeof useComments> }) {
  const change = useQuery(changeQuery({ attempt: attempt.id }, attempt.head));
  const files = useMemo(() => (change.data ? inTreeOrder(change.data) : NONE), [change.data]);
  if (change.error) return <ErrorBox error={change.error} again={() => void change.refetch()} className="m-4" />;
  if (!change.data) return <Loading lines={12} label="Reading the change" />;
  if (files.length === 0) {
    return (
      <Empty icon="file" title="No file has changed">
        {attempt.reason ?? "The attempt has changed nothing so far. Its turns are on the task's page."}
      </Empty>
    );
  }
  return <Shown attempt={attempt} files={files} comments={comments} />;
}

function Shown({ attempt, files, comments }: { attempt: Attempt; files: DiffFile[]; comments: ReturnType<typeof useComments> }) {
  const { file: asked } = route.useSearch();
  const navigate = useNavigate({ from: "/tasks/$task/review" });
  const view = useRef<DiffHandle>(null);
  const read = useFileReader({ attempt: attempt.id });
  const { viewed, mark } = useViewed(attempt.id, files);
  const [unfolded, setUnfolded] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [listed, setListed] = useState(false);
  const [split, setSplit] = useSplit();
  const folded = useMemo(() => new Set(files.filter((file) => unfolded.get(file.path) === false || (viewed.has(file.path) && !unfolded.get(file.path))).map((file) => file.path)), [files, viewed, unfolded]);
  const commented = useMemo(() => new Set(comments.all.map((one) => one.path)), [comments.all]);
  const here = Math.max(0, files.findIndex((file) => file.path === asked));

  const reach = useCallback((path: string) => void navigate({ search: (before) => ({ ...before, file: path }), replace: true }), [navigate]);
  const go = useCallback(
    (path: string) => {
      setListed(false);
      reach(path);
      view.current?.show(path);
    },
    [reach],
  );
  const first = useRef(asked);
  useEffect(() => {
    if (first.current) view.current?.show(first.current);
  }, []);
  const step = (by: number) => {
    const next = files[asked === undefined && by > 0 ? 0 : here + by];
    if (next) go(next.path);
  };
  const fold = (path: string) => setUnfolded((before) => new Map(before).set(path, folded.has(path)));
  const see = (file: DiffFile, seen: boolean) => {
    mark(file, seen);
    setUnfolded((before) => new Map([...before].filter(([path]) => path !== file.path)));
  };
  useCommands([
    { group: "Review", label: "Next file", keys: "j", hidden: true, act: () => step(1) },
    { group: "Review", label: "Previous file", keys: "k", hidden: true, act: () => step(-1) },
    { group: "Review", label: "Next line", keys: "down", hidden: true, act: () => view.current?.move(1) },
    { group: "Review", label: "Previous line", keys: "up", hidden: true, act: () => view.current?.move(-1) },
    { group: "Review", label: "Take in the next line, too", keys: "shift+down", hidden: true, act: () => view.current?.move(1, true) },
    { group: "Review", label: "Take in the line before, too", keys: "shift+up", hidden: true, act: () => view.current?.move(-1, true) },
    ...(split
      ? [
          { group: "Review", label: "The line before the change", keys: "left", hidden: true, act: () => view.current?.across("base") },
          { group: "Review", label: "The line after the change", keys: "right", hidden: true, act: () => view.current?.across("head") },
        ]
      : []),
    { group: "Review", label: "Comment on the line", keys: "c", act: () => view.current?.comment() },
    {
      group: "Review",
      label: "Mark the file as viewed and go on",
      keys: "v",
      act: () => {
        const file = files[here];
        if (!file) return;
        see(file, !viewed.has(file.path));
        if (!viewed.has(file.path)) step(1);
      },
    },
    { group: "Review", label: "Comment on the file", keys: "m", act: () => comments.add({ path: files[here]?.path ?? "", side: "head", line: 0, first: 0 }) },
    { group: "Review", label: split ? "Unified lines" : "Lines side by side", keys: "s", act: () => setSplit(!split) },
  ]);

  return (
    <div className="flex h-full min-h-0">
      <aside className={cls("flex w-64 shrink-0 flex-col border-r border-line bg-ground max-md:absolute max-md:inset-0 max-md:z-20 max-md:w-full", !listed && "max-md:hidden")}>
        <FileTree files={files} current={asked} viewed={viewed} commented={commented} onChoose={go} />
        <Button className="m-2 md:hidden" onClick={() => setListed(false)}>
          Back to the lines
        </Button>
      </aside>
      <div className="flex min-h-0 min-w-0 flex-1 flex-col">
        <div className="flex h-10 shrink-0 items-center gap-3 border-b border-line bg-ground px-3 text-xs text-text-2">
          <Button size="sm" icon="menu" className="md:hidden" onClick={() => setListed(true)}>
            Files
          </Button>
          <span className="tabular" role="status">
            {viewed.size} of {files.length} viewed
          </span>
          <span aria-hidden="true" className="h-1 w-24 overflow-hidden rounded-full bg-pressed max-sm:hidden">
            <span className="block h-full rounded-full bg-good" style={{ width: `${(100 * viewed.size) / files.length}%` }} />
          </span>
          <span className="flex-1" />
          <Layout split={split} onSplit={setSplit} />
        </div>
        <Diff<Comment>
          ref={view}
          files={files}
          split={split}
          folded={folded}
          notes={comments.all}
          read={read}
          onComment={comments.add}
          onReached={reach}
          renderNote={(comment) => (
            <Note
              key={comment.id}
              comment={comment}
              onWrite={(more) => {
                comments.write(comment.id, more);
                if (!more.open) view.current?.focus();
              }}
              onDrop={() => {
                comments.drop(comment.id);
                view.current?.focus();
              }}
            />
          )}
          renderHeader={(file) => (
            <FileHeader
              file={file}
              folded={folded.has(file.path)}
              onFold={() => fold(file.path)}
              seen={viewed.has(file.path)}
              onSeen={(seen) => see(file, seen)}
              onComment={() => comments.add({ path: file.path, side: "head", line: 0, first: 0 })}
            />
          )}
          className="min-h-0 flex-1"
        />
      </div>
    </div>
  );
}

const wide = matchMedia("(min-width: 48rem)");

/** Side by side or not: kept in this browser; a phone has no room for two sides. */
function useSplit(): [boolean, (split: boolean) => void] {
  const [split, setSplit] = useState(() => localStorage.getItem(LAYOUT) === "split");
  return [
    split && wide.matches,
    (next) => {
      localStorage.setItem(LAYOUT, next ? "split" : "unified");
      setSplit(next);
    },
  ];
}
