import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";

import { Button } from "../../parts/Button";
import { cls } from "../../parts/class";
import { useCommands } from "../../shell/keys";
import type { Recorded, Saying, Timeline, Turn } from "./attempt";
import { Note, tells } from "./Note";
import { type TurnActs, TurnCard } from "./Turn";

type Entry = { kind: "turn"; key: string; at: number; turn: Turn } | { kind: "note"; key: string; at: number; recorded: Recorded };

// A delivery is written down again when the same pull request is seen to stand.
function first({ event }: Recorded, place: number, all: Recorded[]): boolean {
  if (event.kind !== "delivered") return true;
  const { number, head, draft } = event.pull_request;
  return !all.slice(0, place).some(({ event: before }) => before.kind === "delivered" && before.pull_request.number === number && before.pull_request.head === head && before.pull_request.draft === draft);
}

/** Turns and what happened between them, in the order of time. */
function entriesOf(timeline: Timeline, ofTask: Recorded[]): Entry[] {
  const turns = timeline.turns.map((turn): Entry => ({ kind: "turn", key: `turn-${turn.turn}-${turn.started}`, at: Date.parse(turn.started), turn }));
  const notes = [...timeline.notes, ...ofTask.filter(({ event }) => event.kind !== "moved")].filter(tells).filter(first).map((recorded): Entry => ({ kind: "note", key: `${recorded.log}-${recorded.number}`, at: Date.parse(recorded.at), recorded }));
  return [...turns, ...notes].toSorted((a, b) => a.at - b.at);
}

interface Props {
  timeline: Timeline;
  ofTask: Recorded[];
  saying: Saying;
  live: boolean;
  acts: TurnActs;
}

/** An attempt turn by turn; its end is followed while it works, until somebody scrolls up. */
export function TimelineView({ timeline, ofTask, saying, live, acts }: Props) {
  const entries = useMemo(() => entriesOf(timeline, ofTask), [timeline, ofTask]);
  const scroller = useRef<HTMLDivElement>(null);
  const [follow, setFollow] = useState(live);
  const [chosen, setChosen] = useState<number | null>(null);
  const virtual = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    estimateSize: (place) => (entries[place]?.kind === "turn" ? 190 : 30),
    getItemKey: (place) => entries[place]?.key ?? place,
    overscan: 6,
  });
  const total = virtual.getTotalSize();
  useEffect(() => {
    if (follow && live && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, [follow, live, total, saying]);

  const lastTurn = entries.findLast((entry) => entry.kind === "turn")?.key;
  const go = (step: number) => {
    const turns = entries.flatMap((entry, place) => (entry.kind === "turn" ? [place] : []));
    const here = chosen === null ? (step > 0 ? -1 : turns.length) : turns.indexOf(chosen);
    const next = turns[Math.min(Math.max(here + step, 0), turns.length - 1)];
    if (next === undefined) return;
    setFollow(false);
    setChosen(next);
    virtual.scrollToIndex(next, { align: "start" });
  };
  useCommands([
    { group: "Timeline", label: "Next turn", keys: "j", hidden: true, act: () => go(1) },
    { group: "Timeline", label: "Previous turn", keys: "k", hidden: true, act: () => go(-1) },
    { group: "Timeline", label: follow ? "Stop following the end" : "Follow the end", keys: "f", act: () => setFollow(!follow) },
  ]);

  return (
    <div className="relative min-h-0 flex-1">
      <div
        ref={scroller}
        tabIndex={0}
        role="region"
        aria-label="Timeline"
        onWheel={(event) => event.deltaY < 0 && setFollow(false)}
        onTouchMove={() => setFollow(false)}
        className="scroll-quiet h-full overflow-y-auto focus-visible:-outline-offset-2"
      >
        <div className="relative" style={{ height: total }}>
          {virtual.getVirtualItems().map((item) => {
            const entry = entries[item.index];
            if (!entry) return null;
            return (
              <div key={item.key} data-index={item.index} ref={virtual.measureElement} className={cls("absolute inset-x-0 top-0 focus-within:z-10", item.index === chosen && "bg-selected")} style={{ transform: `translateY(${item.start}px)` }}>
                {entry.kind === "turn" ? <TurnCard turn={entry.turn} open={entry.key === lastTurn} acts={acts} saying={entry.turn.status === null ? saying : null} /> : <Note recorded={entry.recorded} />}
              </div>
            );
          })}
        </div>
      </div>
      {live && !follow && (
        <Button size="sm" icon="follow" onClick={() => setFollow(true)} className="absolute bottom-3 left-1/2 -translate-x-1/2 shadow-over">
          Follow
        </Button>
      )}
    </div>
  );
}
