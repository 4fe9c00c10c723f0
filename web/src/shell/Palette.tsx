import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useDeferredValue, useId, useMemo, useRef, useState } from "react";

import { api, got } from "../api/client";
import { cls } from "../parts/class";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";
import { Keys } from "../parts/Keys";
import { type Command, useAllCommands } from "./keys";

/** How well the letters of `words` are found in `text`, in order; 0: not at all. */
function fit(text: string, words: string): number {
  const low = text.toLowerCase();
  const at = low.indexOf(words);
  if (at >= 0) return 1000 - at - text.length / 100 + (at === 0 || low[at - 1] === " " ? 200 : 0);
  let place = -1;
  let score = 100;
  for (const letter of words.replaceAll(" ", "")) {
    const next = low.indexOf(letter, place + 1);
    if (next < 0) return 0;
    score -= next - place - 1;
    place = next;
  }
  return Math.max(score, 1);
}

/** Everything that can be done, found by its words (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/). */
export function Palette({ onClose }: { onClose: () => void }) {
  const commands = useAllCommands();
  const navigate = useNavigate();
  const [words, setWords] = useState("");
  const asked = useDeferredValue(words.trim().toLowerCase());
  const [chosen, setChosen] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();

  const tasks = useQuery({
    queryKey: ["board", "palette", asked],
    queryFn: ({ signal }) => got(api.GET("/api/v1/board", { params: { query: { words: asked, limit: 8 } }, signal })),
    placeholderData: (before) => before,
  }).data?.items;

  const found = useMemo(() => {
    const all = commands.filter((one) => !one.hidden);
    const named: Command[] = (tasks ?? []).map((task) => ({
      group: "Tasks",
      label: task.title,
      words: task.repository_name,
      act: () => void navigate({ to: "/tasks/$task", params: { task: task.id } }),
    }));
    if (!asked) return [...all, ...named];
    return [...all, ...named]
      .map((one) => ({ one, score: Math.max(fit(one.label, asked), fit(`${one.group} ${one.words ?? ""}`, asked) / 2) }))
      .filter(({ one, score }) => score > 40 || one.group === "Tasks")
      .toSorted((a, b) => b.score - a.score)
      .slice(0, 60)
      .map(({ one }) => one);
  }, [commands, tasks, asked, navigate]);
  const here = Math.min(chosen, found.length - 1);

  const choose = (place: number) => {
    if (found.length === 0) return;
    const next = (place + found.length) % found.length;
    setChosen(next);
    list.current?.querySelector(`[data-place="${next}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const act = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.act();
  };

  return (
    <Dialog title="Commands" bare onClose={onClose}>
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Icon name="search" className="text-text-3" />
        <input
          autoFocus
          role="combobox"
          aria-label="Command, task or page"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={here >= 0 ? `${id}-${here}` : undefined}
          placeholder="What do you want to do?"
          value={words}
          onChange={(event) => {
            setWords(event.target.value);
            setChosen(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") choose(here + 1);
            else if (event.key === "ArrowUp") choose(here - 1);
            else if (event.key === "Enter") act(found[here]);
            else return;
            event.preventDefault();
          }}
          className="h-12 flex-1 bg-transparent text-base outline-none placeholder:text-text-3"
        />
      </div>
      <div ref={list} id={id} role="listbox" aria-label="Commands" className="scroll-quiet max-h-[50vh] overflow-y-auto p-1.5">
        {found.map((command, place) => (
          <div key={`${command.group}/${command.label}/${place}`} role="presentation">
            {!asked && command.group !== found[place - 1]?.group && (
              <div role="presentation" className="px-2.5 pt-2 pb-1 text-xs text-text-3">
                {command.group}
              </div>
            )}
            <div
              id={`${id}-${place}`}
              data-place={place}
              role="option"
              tabIndex={-1}
              aria-selected={place === here}
              onPointerMove={() => place !== here && setChosen(place)}
              onClick={() => act(command)}
              onKeyDown={() => undefined}
              className={cls("flex min-h-9 cursor-pointer items-center gap-2 rounded px-2.5 py-1", place === here && "bg-pressed")}
            >
              <span className="line-clamp-1 flex-1">{command.label}</span>
              {asked && <span className="text-xs text-text-3">{command.group}</span>}
              {command.keys && <Keys keys={command.keys} />}
            </div>
          </div>
        ))}
        {found.length === 0 && <p className="p-6 text-center text-text-2">Nothing here is called “{words}”. Fewer letters find more.</p>}
      </div>
    </Dialog>
  );
}

/** All keys that work here. */
export function ShortcutOverlay({ onClose }: { onClose: () => void }) {
  const commands = useAllCommands().filter((one) => one.keys);
  const groups = [...new Set(commands.map((one) => one.group))];
  return (
    <Dialog title="Keyboard shortcuts" wide onClose={onClose}>
      <div tabIndex={0} role="region" aria-label="Keys" className="gap-8 sm:columns-2">
        {groups.map((group) => (
          <section key={group} className="mb-4 break-inside-avoid">
            <h3 className="mb-1 text-xs font-semibold text-text-3">{group}</h3>
            <dl>
              {commands
                .filter((one) => one.group === group)
                .map((one) => (
                  <div key={one.label} className="flex items-center justify-between gap-4 border-b border-line py-1.5 last:border-0">
                    <dt>{one.label}</dt>
                    <dd>{one.keys && <Keys keys={one.keys} />}</dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
