import { useState } from "react";

import { IconButton } from "./Button";

// Plain HTTP from elsewhere has no clipboard of its own: a field that is selected is copied as by hand.
async function copy(text: string) {
  if ("clipboard" in navigator) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

/** A line of text, as a command, to be taken along. */
export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const take = async () => {
    await copy(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <span className="flex min-w-0 items-center gap-1 rounded border border-line bg-code pl-2.5">
      <code className="scroll-quiet min-w-0 flex-1 overflow-x-auto py-1 font-mono text-xs whitespace-pre">{text}</code>
      <IconButton icon={done ? "check" : "copy"} label={done ? "Copied" : label} onClick={() => void take()} />
    </span>
  );
}
