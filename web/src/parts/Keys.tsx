import { cls } from "./class";

const apple = /mac|iphone|ipad/i.test(navigator.platform);
const NAMES: Record<string, string> = {
  mod: apple ? "⌘" : "Ctrl",
  shift: apple ? "⇧" : "Shift",
  alt: apple ? "⌥" : "Alt",
  enter: "↵",
  escape: "Esc",
  up: "↑",
  down: "↓",
  left: "←",
  right: "→",
};

/** Keys as they are on the keyboard: `mod+k`, or one after the other: `g h`. */
export function Keys({ keys, inverted = false }: { keys: string; inverted?: boolean }) {
  return (
    <span className="inline-flex shrink-0 gap-0.5">
      {keys.split(" ").map((press, place) => (
        <kbd
          key={place}
          className={cls(
            "inline-flex h-4.5 min-w-4.5 items-center justify-center rounded-sm px-1 font-sans text-2xs",
            inverted ? "bg-on-ink/20 text-on-ink" : "border border-line-strong bg-raised text-text-2",
          )}
        >
          {press
            .split("+")
            .map((one) => NAMES[one] ?? (one.length === 1 ? one.toUpperCase() : one))
            .join(apple ? "" : "+")}
        </kbd>
      ))}
    </span>
  );
}
