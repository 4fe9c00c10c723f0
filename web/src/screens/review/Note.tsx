import { useEffect, useRef, useState } from "react";

import { Button, IconButton } from "../../parts/Button";
import { TextArea } from "../../parts/Field";
import type { Comment } from "./marks";

/** Which lines it speaks of. */
export function placeOf({ line, first, side }: Comment): string {
  if (line === 0) return "the whole file";
  const lines = first === line ? `line ${line}` : `lines ${first}–${line}`;
  return side === "base" ? `${lines} before the change` : lines;
}

/** A comment under its line: being written, or kept until all are sent. */
export function Note({ comment, onWrite, onDrop }: { comment: Comment; onWrite: (more: Partial<Comment>) => void; onDrop: () => void }) {
  const [text, setText] = useState(comment.text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (comment.open) field.current?.focus();
  }, [comment.open]);
  const save = () => (text.trim() ? onWrite({ text: text.trim(), open: false }) : onDrop());
  const leave = () => (comment.text ? onWrite({ open: false }) : onDrop());
  return (
    <div className="m-2 max-w-2xl rounded-md bg-raised p-2.5 font-sans text-sm text-text shadow-raised" style={{ whiteSpace: "normal" }}>
      {comment.open ? (
        <form
          className="flex flex-col gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            save();
          }}
        >
          <TextArea
            ref={field}
            aria-label={`Comment on ${comment.path}, ${placeOf(comment)}`}
            placeholder={`About ${placeOf(comment)}`}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") leave();
              if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) save();
            }}
          />
          <div className="flex justify-end gap-2">
            <Button size="sm" look="quiet" onClick={leave}>
              Cancel
            </Button>
            <Button size="sm" look="primary" type="submit" disabled={text.trim() === ""}>
              Add comment
            </Button>
          </div>
        </form>
      ) : (
        <div className="flex items-start gap-2">
          <p className="min-w-0 flex-1 whitespace-pre-wrap">
            <span className="mb-0.5 block text-xs text-text-3">Not sent yet, on {placeOf(comment)}</span>
            {comment.text}
          </p>
          <Button size="sm" look="quiet" onClick={() => onWrite({ open: true })}>
            Edit
          </Button>
          <IconButton icon="close" label="Delete this comment" onClick={onDrop} />
        </div>
      )}
    </div>
  );
}
