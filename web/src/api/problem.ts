/** What went wrong, as the API says it: a fact, then the remedy. `status` 0: no answer came at all. */
export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
  ) {
    super(detail);
    this.name = "Failure";
  }
}

export const unreachable = () =>
  new Failure(
    0,
    "The server does not answer",
    "See whether `pullwright serve` still runs and this machine has a network; the page goes on by itself once it answers.",
  );

/** Any thrown thing as something a person can read. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const said = error instanceof Error ? error.message : String(error);
  return new Failure(-1, "The page has made a mistake", `${said}. Reload it; if it comes again, tell it to whoever looks after Pullwright.`);
}

function isProblem(value: unknown): value is { title: string; detail: string; status: number } {
  return typeof value === "object" && value !== null && "title" in value && "detail" in value;
}

/** The failure that an answer stands for. */
export function failureOf(response: Response, body: unknown): Failure {
  if (isProblem(body)) return new Failure(response.status, String(body.title), String(body.detail));
  return new Failure(
    response.status,
    `Answer ${response.status}`,
    "The server, or something in front of it, gave no reason. Its own output may have one.",
  );
}
