import { createLazyRoute, useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { api, got } from "../../api/client";
import { useMay } from "../../api/queries";
import { Button } from "../../parts/Button";
import { cls } from "../../parts/class";
import { Icon } from "../../parts/Icon";
import { useNow } from "../../parts/now";
import { Empty, ErrorBox, Loading } from "../../parts/Says";
import { tell, tellFailure } from "../../parts/Toast";
import type { HomeSearch } from "../../router";
import { useCommands } from "../../shell/keys";
import { type Filter, type Section, type TaskRow, useBoard } from "./board";
import { Composer } from "./Composer";
import { Filters } from "./Filters";
import { Row, ROW_HEIGHT } from "./Row";

const narrow = matchMedia("(max-width: 639px)");

function watchNarrow(changed: () => void): () => void {
  narrow.addEventListener("change", changed);
  return () => narrow.removeEventListener("change", changed);
}

const useNarrow = () => useSyncExternalStore(watchNarrow, () => narrow.matches);

type Line = { kind: "title"; title: string; count: number } | { kind: "task"; row: TaskRow; place: number };

function linesOf(sections: Section[]): Line[] {
  let place = 0;
  return sections.flatMap((section) => [
    { kind: "title" as const, title: section.title, count: section.rows.length },
    ...section.rows.map((row) => ({ kind: "task" as const, row, place: place++ })),
  ]);
}

function filterOf(search: HomeSearch): Filter {
  const show = search.show;
  return {
    show: show === "needs" || show === "working" || show === "ended" ? show : "all",
    words: search.words ?? "",
    repository: search.repository,
    engine: search.engine,
    verdict: search.verdict,
  };
}

function Home() {
  const search = useSearch({ from: "/" });
  const navigate = useNavigate();
  const filter = useMemo(() => filterOf(search), [search]);
  const board = useBoard(filter);
  const may = useMay();
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const scroller = useRef<HTMLDivElement>(null);
  const narrowed = filter.show !== "all" || filter.words !== "" || filter.repository !== undefined || filter.engine !== undefined || filter.verdict !== undefined;

  const pick = useCallback((id: string) => {
    setPicked((before) => {
      const next = new Set(before);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  }, []);
  const compare = () => void navigate({ to: "/compare", search: { tasks: [...picked].join(",") } });

  return (
    <div ref={scroller} className="scroll-quiet h-full overflow-y-auto [scrollbar-gutter:stable]" data-testid="home">
      <div className="mx-auto w-full max-w-7xl">
        <h1 className="sr-only">Tasks</h1>
        {may.write && <Composer opened={search.compose === true} />}
        <Filters filter={filter} />
        {board.error && <ErrorBox error={board.error} again={board.again} className="m-4" />}
        {board.pending && !board.error && <Loading lines={8} label="Loading tasks" />}
        {!board.pending && !board.error && board.sections.length === 0 && <Nothing narrowed={narrowed} show={filter.show} />}
        {board.sections.length > 0 && <List board={board} picked={picked} onPick={pick} onCompare={compare} scroller={scroller} />}
        {board.cut && <p className="px-4 py-3 text-xs text-text-3">Only the newest 500 tasks that work are listed: narrow them by words or repository to see the others.</p>}
      </div>
      {picked.size > 0 && (
        <div className="arriving fixed bottom-4 left-1/2 z-30 flex -translate-x-1/2 items-center gap-2 rounded-lg bg-raised py-2 pr-2 pl-4 shadow-over max-sm:bottom-17">
          <span className="text-sm text-text-2">{picked.size} picked</span>
          <Button size="sm" look="primary" icon="columns" disabled={picked.size < 2} onClick={compare}>
            Compare
          </Button>
          <Button size="sm" look="quiet" onClick={() => setPicked(new Set())}>
            Clear
          </Button>
        </div>
      )}
    </div>
  );
}

interface ListProps {
  board: ReturnType<typeof useBoard>;
  picked: ReadonlySet<string>;
  onPick: (id: string) => void;
  onCompare: () => void;
  scroller: React.RefObject<HTMLDivElement | null>;
}

function List({ board, picked, onPick, onCompare, scroller }: ListProps) {
  const now = useNow();
  const navigate = useNavigate();
  const small = useNarrow();
  const list = useRef<HTMLUListElement>(null);
  const [margin, setMargin] = useState(0);
  const lines = useMemo(() => linesOf(board.sections), [board.sections]);
  const tasks = useMemo(() => lines.flatMap((line, at) => (line.kind === "task" ? [{ row: line.row, at }] : [])), [lines]);
  const [chosen, setChosen] = useState<string | null>(null);
  const height = small ? ROW_HEIGHT.narrow : ROW_HEIGHT.wide;

  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: (at) => (lines[at]?.kind === "title" ? 36 : height),
    getItemKey: (at) => {
      const line = lines[at];
      return line?.kind === "task" ? line.row.id : `title-${line?.title ?? at}`;
    },
    overscan: 6,
    scrollMargin: margin,
  });
  // The sizes that it remembers by key are of another kind of screen.
  useEffect(() => virtual.measure(), [virtual, height]);

  // The composer above opens and closes; the list begins below it.
  useEffect(() => {
    const above = list.current?.parentElement;
    if (!above) return undefined;
    const observer = new ResizeObserver(() => setMargin(list.current?.offsetTop ?? 0));
    observer.observe(above);
    return () => observer.disconnect();
  }, []);

  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const { more } = board;
  useEffect(() => {
    if (more && last >= lines.length - 20) more();
  }, [more, last, lines.length]);

  const here = tasks.findIndex(({ row }) => row.id === chosen);
  const current = tasks[here]?.row;
  const go = (step: number) => {
    const next = tasks[Math.min(Math.max(here + step, 0), tasks.length - 1)];
    if (!next) return;
    setChosen(next.row.id);
    virtual.scrollToIndex(next.at, { align: "auto" });
  };
  const { again } = board;
  const dismiss = useCallback(
    async (task: string) => {
      try {
        await got(api.POST("/api/v1/tasks/{task}/dismiss", { params: { path: { task } } }));
        tell("Seen to", "It needs nobody until it moves on.");
        again();
      } catch (error) {
        tellFailure(error);
      }
    },
    [again],
  );
  const { write } = useMay();
  const onDismiss = useMemo(() => (write ? (task: string) => void dismiss(task) : null), [write, dismiss]);
  useCommands([
    { group: "List", label: "Next task", keys: "j", hidden: true, act: () => go(1) },
    { group: "List", label: "Previous task", keys: "k", hidden: true, act: () => go(-1) },
    ...(current
      ? [
          { group: "List", label: "Open the task", keys: "enter", hidden: true, act: () => void navigate({ to: "/tasks/$task", params: { task: current.id } }) },
          { group: "List", label: "Review the task's change", keys: "r", act: () => void navigate({ to: "/tasks/$task/review", params: { task: current.id } }) },
          { group: "List", label: "Pick the task to compare", keys: "x", act: () => onPick(current.id) },
          ...(current.needs && onDismiss ? [{ group: "List", label: "The task is seen to", keys: "e", act: () => onDismiss(current.id) }] : []),
        ]
      : []),
    ...(picked.size > 1 ? [{ group: "List", label: "Compare the picked tasks", keys: "shift+c", act: onCompare }] : []),
  ]);

  return (
    <ul ref={list} className="relative" style={{ height: virtual.getTotalSize() }} aria-label="Tasks">
      {items.map((item) => {
        const line = lines[item.index];
        if (!line) return null;
        const style = { height: item.size, transform: `translateY(${item.start - margin}px)` };
        return line.kind === "title" ? (
          <li key={item.key} className="absolute inset-x-0 top-0" style={style}>
            <h2 className={cls("flex h-full items-end gap-2 border-b border-line px-4 pb-1.5 text-xs font-semibold max-sm:px-3", line.title === "Needs you" ? "text-warn" : "text-text-2")}>
              {line.title}
              <span className="tabular font-normal text-text-3">{line.count}</span>
            </h2>
          </li>
        ) : (
          <li key={item.key} className="absolute inset-x-0 top-0" style={style} aria-setsize={tasks.length} aria-posinset={line.place + 1}>
            <Row row={line.row} now={now} chosen={line.row.id === chosen} picked={picked.has(line.row.id)} onPick={onPick} onDismiss={onDismiss} />
          </li>
        );
      })}
    </ul>
  );
}

function Nothing({ narrowed, show }: { narrowed: boolean; show: Filter["show"] }) {
  const navigate = useNavigate();
  if (show === "needs") {
    return (
      <Empty icon="check" title="Nothing needs you">
        A task comes here when it asks something, when its setup fails, when it was refused a host, or when only a draft came of it.
      </Empty>
    );
  }
  if (narrowed) {
    return (
      <Empty icon="filter" title="No task is like that" action={<Button onClick={() => void navigate({ to: "/", search: {} })}>Show all</Button>}>
        Other words, or fewer filters, find more.
      </Empty>
    );
  }
  return (
    <Empty icon="terminal" title="Hand in the first task">
      <p>
        Write above what is to be done, and name a repository: a path on the server, or a URL. Its language, setup and tests are found out by themselves. What comes back is a branch or a pull request with the proof
        that it works.
      </p>
      <p className="mt-2 inline-flex items-center gap-1.5 text-text-3">
        <Icon name="terminal" size={14} /> <code className="font-mono text-xs">pullwright run "Fix the failing tests" --repo .</code>
      </p>
    </Empty>
  );
}

export const Route = createLazyRoute("/")({ component: Home });
