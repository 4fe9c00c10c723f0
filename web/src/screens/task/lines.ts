import { useEffect, useMemo, useRef, useState } from "react";

import { bytesOf } from "../../api/client";
import { asFailure, type Failure } from "../../api/problem";

const PART = 1024 * 1024;
const AT_ONCE = 24 * PART; // read by itself; more on demand

// Colours and cursor moves that programs write for terminals (ECMA-48), and what was overwritten by a carriage return.
const CONTROL = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** A line as a screen would have left it. */
export function plainLine(line: string): string {
  const clean = line.endsWith("\r") ? line.slice(0, -1) : line;
  const visible = clean.includes("\r") ? clean.slice(clean.lastIndexOf("\r") + 1) : clean;
  return visible.replace(CONTROL, "");
}

/** Lines of a text; its last one may go on later. */
export function linesOf(whole: string): string[] {
  const lines = whole.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map(plainLine);
}

export interface Read {
  lines: string[];
  /** Bytes read so far, and of the whole. */
  read: number;
  size: number;
  error: Failure | null;
  reading: boolean;
  /** Reads on, where there is more than is read by itself. */
  more: (() => void) | null;
}

interface Part {
  address: string;
  decoder: TextDecoder;
  lines: string[];
  /** What was read of a line whose end is in the next part. */
  rest: string;
  read: number;
}

const begun = (address: string): Part => ({ address, decoder: new TextDecoder(), lines: [], rest: "", read: 0 });

/** Read one more part; a character that is cut in two is put together again by the decoder. */
async function readPart(here: Part, size: number, signal: AbortSignal): Promise<void> {
  const data = await bytesOf(here.address, here.read, Math.min(here.read + PART, size) - 1, signal);
  here.read += data.byteLength;
  const last = here.read >= size || data.byteLength === 0;
  if (data.byteLength === 0) here.read = size;
  const lines = (here.rest + here.decoder.decode(data, { stream: !last })).split("\n");
  here.rest = last ? "" : (lines.pop() ?? "");
  if (last && lines.at(-1) === "") lines.pop();
  here.lines = [...here.lines, ...lines.map(plainLine)];
}

/** A long text by byte ranges, a megabyte each: its beginning is there at once, the rest while one reads. */
export function useRangedLines(address: string, size: number): Read {
  const [state, setState] = useState<{ lines: string[]; read: number; error: Failure | null; reading: boolean }>({ lines: [], read: 0, error: null, reading: true });
  const [limit, setLimit] = useState(AT_ONCE);
  const kept = useRef<Part>(begun(""));

  useEffect(() => {
    const ending = new AbortController();
    if (kept.current.address !== address) kept.current = begun(address);
    const here = kept.current;
    const until = Math.min(size, limit);
    const readOn = async () => {
      while (here.read < until) {
        await readPart(here, size, ending.signal);
        if (ending.signal.aborted) return;
        setState({ lines: here.lines, read: here.read, error: null, reading: here.read < until });
      }
      setState({ lines: here.lines, read: here.read, error: null, reading: false });
    };
    readOn().catch((error: unknown) => {
      if (!ending.signal.aborted) setState((before) => ({ ...before, error: asFailure(error), reading: false }));
    });
    return () => ending.abort();
  }, [address, size, limit]);

  return { ...state, size, more: state.read < size && !state.reading ? () => setLimit((before) => before + AT_ONCE) : null };
}

/** The places of the lines that have these words. */
export function useFound(lines: string[], words: string): number[] {
  return useMemo(() => {
    const asked = words.toLowerCase();
    if (asked === "") return [];
    const found: number[] = [];
    for (let place = 0; place < lines.length; place += 1) if (lines[place]?.toLowerCase().includes(asked)) found.push(place);
    return found;
  }, [lines, words]);
}
