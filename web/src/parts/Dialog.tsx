import { type ReactNode, useEffect, useId, useRef } from "react";

import { IconButton } from "./Button";
import { cls } from "./class";

/** A question or a form over the page. The browser keeps the focus inside and gives it back; Escape closes. */
export function Dialog({
  title,
  onClose,
  children,
  footer,
  wide = false,
  bare = false,
  tall = false,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
  bare?: boolean;
  /** Its content has its own scrolling and takes all the height there is. */
  tall?: boolean;
}) {
  const frame = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = frame.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={frame}
      aria-labelledby={bare ? undefined : id}
      aria-label={bare ? title : undefined}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === frame.current && onClose()}
      className={cls(
        "arriving mx-auto w-[calc(100vw-1.5rem)] flex-col overflow-hidden rounded-lg bg-raised p-0 shadow-over open:flex",
        tall ? "my-auto h-[90vh] max-w-6xl" : "mt-[12vh] max-h-[76vh]",
        !tall && (wide ? "max-w-3xl" : "max-w-lg"),
      )}
    >
      {!bare && (
        <header className="flex items-center justify-between border-b border-line py-2 pr-2 pl-4">
          <h2 id={id} className="truncate text-base font-semibold">
            {title}
          </h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </header>
      )}
      {bare ? children : <div className={tall ? "min-h-0 flex-1" : "scroll-quiet overflow-y-auto p-4"}>{children}</div>}
      {footer && <footer className="flex justify-end gap-2 border-t border-line px-4 py-3">{footer}</footer>}
    </dialog>
  );
}
