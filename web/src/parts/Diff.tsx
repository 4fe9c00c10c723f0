import { type CodeViewDiffItem, type DiffLineAnnotation, type FileDiffMetadata, type FileDiffLoadedFiles, parsePatchFiles } from "@pierre/diffs";
import { CodeView, type CodeViewHandle, type CodeViewReactOptions } from "@pierre/diffs/react";
import { type ReactNode, type Ref, type RefObject, useCallback, useEffect, useId, useImperativeHandle, useMemo, useRef, useState } from "react";

import { useTheme } from "../shell/theme";
import { cls } from "./class";
import { linesOf, useLineCursor } from "./cursor";

export type Side = "base" | "head";

/** One file of a difference. `print` changes whenever what is to be seen of it does. */
export interface DiffFile {
  path: string;
  print: string;
  insertions: number;
  deletions: number;
  lines: number;
  parsed: FileDiffMetadata;
}

/** Lines of a file, on one of its sides; `first` is `line` where it is one. */
export interface Lines {
  path: string;
  side: Side;
  first: number;
  line: number;
}

/** Something to be seen under a line; line 0 is above all others. */
export interface DiffNote {
  id: string;
  path: string;
  side: Side;
  line: number;
}

/** What a patch as git writes it says of each file. */
export function filesOf(patch: string): DiffFile[] {
  return parsePatchFiles(patch)
    .flatMap((part) => part.files)
    .map((parsed) => ({
      path: parsed.name,
      print: `${parsed.prevObjectId ?? ""}-${parsed.newObjectId ?? ""}-${parsed.unifiedLineCount}`,
      insertions: parsed.hunks.reduce((sum, hunk) => sum + hunk.additionLines, 0),
      deletions: parsed.hunks.reduce((sum, hunk) => sum + hunk.deletionLines, 0),
      lines: parsed.unifiedLineCount,
      parsed,
    }));
}

export interface DiffHandle {
  show: (path: string) => void;
  /** One line on; `more` takes it in with those before. */
  move: (by: 1 | -1, more?: boolean) => void;
  /** To the line beside it, where two sides are shown. */
  across: (to: Side) => void;
  /** Say something about the lines that the keys have reached. */
  comment: () => void;
  /** Back to the lines that the keys have reached, if they have. */
  focus: () => void;
}

interface DiffProps<Note extends DiffNote> {
  files: DiffFile[];
  split: boolean;
  folded: ReadonlySet<string>;
  notes: Note[];
  renderNote: (note: Note) => ReactNode;
  renderHeader: (file: DiffFile) => ReactNode;
  /** A person wants to say something about these lines. */
  onComment?: (lines: Lines) => void;
  /** The keys have reached a line of this file. */
  onReached?: (path: string) => void;
  /** A whole file, to show more of it than the patch does. */
  read: (path: string, side: Side) => Promise<string>;
  ref?: Ref<DiffHandle>;
  className?: string;
}

const SIDES = { deletions: "base", additions: "head" } as const;
const HEADER = 40;
// Their words keep WCAG AA on the grounds of added and removed lines, too.
const THEMES = { light: "github-light-high-contrast", dark: "github-dark-high-contrast" };

// The page's own fonts and grounds, inside of what is drawn apart from the page's style sheets.
const CSS = `
  :host {
    --diffs-font-family: var(--font-mono); --diffs-header-font-family: var(--font-sans); --diffs-font-size: 12px; --diffs-line-height: 20px;
    --diffs-light-bg: var(--raised); --diffs-dark-bg: var(--raised);
    --diffs-bg-addition-emphasis-override: light-dark(oklch(0.89 0.07 150), oklch(0.33 0.06 150));
    --diffs-bg-deletion-emphasis-override: light-dark(oklch(0.9 0.05 20), oklch(0.33 0.08 20));
  }
  [data-separator-wrapper] { font-size: 12px; }
  [data-line][data-chosen] { background-image: linear-gradient(var(--selected), var(--selected)); }
  [data-column-number][data-chosen] { box-shadow: inset 4px 0 0 var(--ring); color: var(--text); }
`;

/** What shows more of a file is a button for every keyboard and screen reader, not for the pointer alone. */
function reachable(frame: HTMLElement) {
  for (const button of frame.shadowRoot?.querySelectorAll<HTMLElement>("[data-expand-button]:not([tabindex])") ?? []) {
    button.tabIndex = 0;
    button.setAttribute("aria-label", "Show more unchanged lines");
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      button.click();
    });
  }
}

/** A difference of any size, highlighted; only what is in sight is on the page. */
export function Diff<Note extends DiffNote>({ files, split, folded, notes, renderNote, renderHeader, onComment, onReached, read, ref, className }: DiffProps<Note>) {
  const [theme] = useTheme();
  const view = useRef<CodeViewHandle<Note, undefined>>(null);
  const byPath = useMemo(() => new Map(files.map((file) => [file.path, file])), [files]);
  const items = useItems(files, folded, notes);
  const { cursor, begin, move, across, drawn } = useLineCursor(view as unknown as RefObject<CodeViewHandle<never, undefined> | null>);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const there = cursor !== null && byPath.has(cursor.path) && !folded.has(cursor.path);
  useImperativeHandle(
    ref,
    () => ({
      show: (path) => {
        begin(path);
        view.current?.scrollTo({ type: "item", id: path, align: "start" });
      },
      move: (by, more) => {
        list.current?.focus({ preventScroll: true });
        move(by, more);
      },
      across,
      comment: () => (there ? onComment?.(linesOf(cursor)) : move(1)),
      focus: () => there && list.current?.focus({ preventScroll: true }),
    }),
    [cursor, there, begin, move, across, onComment],
  );
  const path = cursor?.path;
  useEffect(() => {
    if (path !== undefined) onReached?.(path);
  }, [path, onReached]);
  const rendered = useCallback(
    (frame: HTMLElement) => {
      reachable(frame);
      drawn(frame);
    },
    [drawn],
  );

  const options = useMemo<CodeViewReactOptions<Note, undefined>>(
    () => ({
      preferredHighlighter: "highlights",
      theme: THEMES,
      themeType: theme,
      diffStyle: split ? "split" : "unified",
      hunkSeparators: "line-info",
      lineDiffType: "word",
      expansionLineCount: 20,
      stickyHeaders: true,
      overflow: "scroll",
      unsafeCSS: CSS,
      onPostRender: rendered as never,
      itemMetrics: { diffHeaderHeight: HEADER },
      layout: { paddingTop: 0, paddingBottom: 96, gap: 12 },
      loadDiffFiles: async (parsed): Promise<FileDiffLoadedFiles> => {
        const [before, after] = await Promise.all([read(parsed.prevName ?? parsed.name, "base"), read(parsed.name, "head")]);
        return { oldFile: { name: parsed.prevName ?? parsed.name, contents: before }, newFile: { name: parsed.name, contents: after } };
      },
      enableGutterUtility: onComment !== undefined,
      lineHoverHighlight: onComment === undefined ? "disabled" : "number",
      onGutterUtilityClick: ((range: { start: number; end: number; side?: "deletions" | "additions"; endSide?: "deletions" | "additions" }, { item }: { item: { id: string } }) => {
        const line = Math.max(range.start, range.end);
        onComment?.({ path: item.id, side: SIDES[range.endSide ?? range.side ?? "additions"], first: Math.min(range.start, range.end), line });
      }) as never,
    }),
    [theme, split, read, onComment, rendered],
  );

  return (
    <div className={cls("relative flex flex-col", className)}>
      {onComment && (
        // The lines are drawn where no other element can point at them: this speaks for the one that the keys have reached.
        <>
          <div
            ref={list}
            role="listbox"
            tabIndex={0}
            aria-label="Lines of the change"
            aria-describedby={`${id}-keys`}
            aria-activedescendant={cursor ? `${id}-${cursor.side}-${cursor.at}` : undefined}
            className="peer sr-only"
          >
            {cursor && (
              <div key={cursor.words} id={`${id}-${cursor.side}-${cursor.at}`} role="option" aria-selected="true" aria-setsize={-1} aria-posinset={cursor.at}>
                {cursor.words}
              </div>
            )}
          </div>
          <p id={`${id}-keys`} hidden>
            Arrow up and down go from line to line, with Shift they take more lines in, C comments.
          </p>
          <div aria-hidden="true" className="pointer-events-none absolute inset-0 z-10 outline-ring peer-focus-visible:outline-2 peer-focus-visible:-outline-offset-2" />
        </>
      )}
      <CodeView<Note>
        ref={view}
        className="min-h-0 flex-1"
        style={{ overflow: "auto" }}
        items={items}
        options={options}
        disableWorkerPool
        renderCustomHeader={(item) => {
          const file = byPath.get(item.id);
          return file ? <div style={{ height: HEADER }}>{renderHeader(file)}</div> : null;
        }}
        renderAnnotation={(...[annotation]) => renderNote(annotation.metadata as Note)}
      />
    </div>
  );
}

type Item<Note> = CodeViewDiffItem<Note>;

/** What is drawn of each file; `version` says to the drawing which of them have changed. */
function useItems<Note extends DiffNote>(files: DiffFile[], folded: ReadonlySet<string>, notes: Note[]): Item<Note>[] {
  const [known] = useState(() => new Map<string, { shape: string; item: Item<Note> }>());
  return useMemo(() => {
    return files.map((file) => {
      const here = notes.filter((note) => note.path === file.path);
      const shape = [file.print, folded.has(file.path), ...here.map((note) => `${note.id}@${note.side}${note.line}`)].join(" ");
      const before = known.get(file.path);
      if (before?.shape === shape && before.item.fileDiff === file.parsed && here.every((note, at) => before.item.annotations?.[at]?.metadata === note)) return before.item;
      const item: Item<Note> = {
        id: file.path,
        type: "diff",
        fileDiff: file.parsed,
        collapsed: folded.has(file.path),
        version: (before?.item.version ?? 0) + 1,
        annotations: here.map((note) => ({ side: note.side === "base" ? "deletions" : "additions", lineNumber: note.line, metadata: note }) as unknown as DiffLineAnnotation<Note>),
      };
      known.set(file.path, { shape, item });
      return item;
    });
  }, [known, files, folded, notes]);
}
