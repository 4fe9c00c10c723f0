import { useCallback, useMemo, useState } from "react";

import type { DiffFile, DiffNote, Lines } from "../../parts/Diff";

// What a reviewer has written and seen stays in this browser until it is sent, whatever happens to the page.
function kept<Value>(key: string, otherwise: Value): Value {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "") as Value;
  } catch {
    return otherwise;
  }
}

function keep(key: string, value: unknown, empty: boolean) {
  if (empty) localStorage.removeItem(key);
  else localStorage.setItem(key, JSON.stringify(value));
}

/** A comment that is not sent yet; `open` while it is being written. */
export interface Comment extends DiffNote {
  first: number;
  text: string;
  open: boolean;
}

/** The comments of a reviewer on one attempt. */
export function useComments(attempt: string) {
  const key = `pullwright.comments.${attempt}`;
  const [of, setOf] = useState(attempt);
  const [all, setAll] = useState<Comment[]>(() => kept(key, []));
  if (of !== attempt) {
    setOf(attempt);
    setAll(kept(key, []));
  }
  const change = useCallback(
    (make: (before: Comment[]) => Comment[]) =>
      setAll((before) => {
        const after = make(before);
        keep(key, after, after.length === 0);
        return after;
      }),
    [key],
  );
  const add = useCallback(
    ({ path, side, line, first }: Lines) =>
      change((before) => {
        const there = before.find((one) => one.path === path && one.side === side && one.line === line);
        if (there) return before.map((one) => (one === there ? { ...one, open: true } : one));
        return [...before, { id: crypto.randomUUID?.() ?? String(Math.random()), path, side, line, first, text: "", open: true }];
      }),
    [change],
  );
  const write = useCallback((id: string, more: Partial<Comment>) => change((before) => before.map((one) => (one.id === id ? { ...one, ...more } : one))), [change]);
  const drop = useCallback((id: string) => change((before) => before.filter((one) => one.id !== id)), [change]);
  const clear = useCallback(() => change(() => []), [change]);
  return { all, ready: all.filter((one) => one.text.trim() !== ""), add, write, drop, clear };
}

/** Which files a reviewer has seen, as they are: one that changes afterwards is to be seen anew. */
export function useViewed(attempt: string, files: DiffFile[]) {
  const key = `pullwright.viewed.${attempt}`;
  const [of, setOf] = useState(attempt);
  const [marks, setMarks] = useState<Record<string, string>>(() => kept(key, {}));
  if (of !== attempt) {
    setOf(attempt);
    setMarks(kept(key, {}));
  }
  const viewed = useMemo(() => new Set(files.filter((file) => marks[file.path] === file.print).map((file) => file.path)), [files, marks]);
  const mark = useCallback(
    (file: DiffFile, seen: boolean) =>
      setMarks((before) => {
        const after = { ...before };
        if (seen) after[file.path] = file.print;
        else delete after[file.path];
        keep(key, after, Object.keys(after).length === 0);
        return after;
      }),
    [key],
  );
  return { viewed, mark };
}
