import { type ReactElement, useEffect, useRef, useState } from "react";

import { Keys } from "./Keys";

/** Words about the thing under the pointer or the focus; Escape puts them away. The thing must have a name of its own. */
export function Tooltip({ text, keys, children }: { text: string; keys?: string; children: ReactElement }) {
  const [at, setAt] = useState<{ x: number; y: number; below: boolean } | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const hold = useRef<HTMLSpanElement>(null);

  const show = (wait: number) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const box = hold.current?.firstElementChild?.getBoundingClientRect();
      if (!box) return;
      const below = box.top < 60;
      const x = Math.min(Math.max(box.left + box.width / 2, 80), innerWidth - 80);
      setAt({ x, y: below ? box.bottom + 6 : box.top - 6, below });
    }, wait);
  };
  const hide = () => {
    clearTimeout(timer.current);
    setAt(null);
  };
  useEffect(() => () => clearTimeout(timer.current), []);

  return (
    <span
      ref={hold}
      className="contents"
      onPointerEnter={(event) => event.pointerType === "mouse" && show(350)}
      onPointerLeave={hide}
      onFocus={(event) => event.target.matches(":focus-visible") && show(0)}
      onBlur={hide}
      onKeyDown={(event) => event.key === "Escape" && hide()}
      onClick={hide}
    >
      {children}
      {at && (
        <span
          aria-hidden="true"
          className="pointer-events-none fixed z-50 flex w-max max-w-60 items-center gap-2 rounded bg-ink px-2 py-1 text-xs font-normal text-on-ink"
          style={{ left: at.x, top: at.y, translate: at.below ? "-50% 0" : "-50% -100%" }}
        >
          {text}
          {keys && <Keys keys={keys} inverted />}
        </span>
      )}
    </span>
  );
}
