/**
 * Server-sent events that resume without a gap or a double.
 *
 * A browser comes back by itself after a dropped connection, with the last id it saw, but gives up for good where it is
 * answered with an error once (a proxy's 502 while the server restarts). Here it goes on: with `after`, which is the same
 * number, and a pause that grows. What comes twice is told once.
 */
export type StreamState = "connecting" | "live" | "broken";

export interface Listening {
  /** The number of the last event that is already known; null: from now on. */
  after: number | null;
  events: Record<string, (data: unknown, id: number | null) => void>;
  state?: (state: StreamState) => void;
}

const SHORTEST = 500;
const LONGEST = 15_000;

/** Listen until the returned function is called. */
export function listen(address: string, listening: Listening): () => void {
  let seen = listening.after;
  let pause = SHORTEST;
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;

  const open = () => {
    listening.state?.("connecting");
    const query = seen === null ? "" : `${address.includes("?") ? "&" : "?"}after=${seen}`;
    source = new EventSource(address + query);
    source.addEventListener("open", () => {
      pause = SHORTEST;
      listening.state?.("live");
    });
    source.addEventListener("error", () => {
      listening.state?.("broken");
      // What the browser would try is less than what we know: the number, also where the first answer never came.
      source?.close();
      clearTimeout(timer);
      if (over) return;
      timer = setTimeout(open, pause * (0.75 + Math.random() / 2));
      pause = Math.min(pause * 2, LONGEST);
    });
    for (const [name, tell] of Object.entries(listening.events)) {
      source.addEventListener(name, (message: MessageEvent<string>) => {
        // A stream's events without an id of their own repeat the last one's.
        const id = name === "piece" || message.lastEventId === "" ? null : Number(message.lastEventId);
        if (id !== null) {
          if (seen !== null && id <= seen) return;
          seen = id;
        }
        tell(JSON.parse(message.data), id);
      });
    }
  };

  const again = () => {
    if (source?.readyState === EventSource.OPEN) return;
    clearTimeout(timer);
    source?.close();
    pause = SHORTEST;
    if (!over) open();
  };

  open();
  addEventListener("online", again);
  return () => {
    over = true;
    clearTimeout(timer);
    source?.close();
    removeEventListener("online", again);
  };
}
