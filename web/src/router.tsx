import { createRootRoute, createRoute, createRouter, Link } from "@tanstack/react-router";

import { asFailure } from "./api/problem";
import { buttonClass } from "./parts/Button";
import { Empty, ErrorBox, Loading } from "./parts/Says";
import { Shell } from "./shell/Shell";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <Empty
      icon="question"
      title="There is no such page"
      action={
        <Link to="/" className={buttonClass({})}>
          All tasks
        </Link>
      }
    >
      The address may be mistyped, or of another version of Pullwright.
    </Empty>
  ),
});

/** What the list of tasks is narrowed to; the address keeps it. */
export interface HomeSearch {
  compose?: boolean | undefined;
  words?: string | undefined;
  show?: string | undefined;
  repository?: string | undefined;
  engine?: string | undefined;
  verdict?: string | undefined;
}

const word = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
const number = (value: unknown) => (typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined);

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: (search: Record<string, unknown>): HomeSearch => ({
    compose: search["compose"] === true ? true : undefined,
    words: word(search["words"]),
    show: word(search["show"]),
    repository: word(search["repository"]),
    engine: word(search["engine"]),
    verdict: word(search["verdict"]),
  }),
}).lazy(() => import("./screens/home/Home").then((module) => module.Route));

const task = createRoute({
  getParentRoute: () => root,
  path: "/tasks/$task",
  validateSearch: (search: Record<string, unknown>): { attempt?: number | undefined; view?: string | undefined } => ({
    attempt: number(search["attempt"]),
    view: word(search["view"]),
  }),
}).lazy(() => import("./screens/task/TaskScreen").then((module) => module.Route));

const review = createRoute({
  getParentRoute: () => root,
  path: "/tasks/$task/review",
  validateSearch: (search: Record<string, unknown>): { attempt?: number | undefined; file?: string | undefined; view?: string | undefined } => ({
    attempt: number(search["attempt"]),
    file: word(search["file"]),
    view: word(search["view"]),
  }),
}).lazy(() => import("./screens/review/Review").then((module) => module.Route));

// One task's attempts, or several tasks: `tasks` holds their ids, with commas between.
const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: (search: Record<string, unknown>): { tasks?: string | undefined; left?: string | undefined; right?: string | undefined } => ({
    tasks: word(search["tasks"]),
    left: word(search["left"]),
    right: word(search["right"]),
  }),
}).lazy(() => import("./screens/compare/Compare").then((module) => module.Route));

const environments = createRoute({
  getParentRoute: () => root,
  path: "/environments",
  validateSearch: (search: Record<string, unknown>): { repository?: string | undefined } => ({ repository: word(search["repository"]) }),
}).lazy(() => import("./screens/environments/Environments").then((module) => module.Route));

const usage = createRoute({
  getParentRoute: () => root,
  path: "/usage",
  validateSearch: (search: Record<string, unknown>): { days?: number | undefined; by?: string | undefined; show?: string | undefined } => ({
    days: number(search["days"]),
    by: word(search["by"]),
    show: word(search["show"]),
  }),
}).lazy(() => import("./screens/usage/Usage").then((module) => module.Route));

const admin = createRoute({
  getParentRoute: () => root,
  path: "/admin",
  validateSearch: (search: Record<string, unknown>): { part?: string | undefined } => ({ part: word(search["part"]) }),
}).lazy(() => import("./screens/admin/Admin").then((module) => module.Route));

/** The console's pages; each is fetched when it is first wanted. */
export const router = createRouter({
  routeTree: root.addChildren([home, task, review, compare, environments, usage, admin]),
  defaultPreload: "intent",
  defaultPendingMs: 150,
  defaultPendingComponent: () => <Loading lines={6} />,
  defaultErrorComponent: ({ error, reset }) => {
    // The files of a page are gone once another version is installed; a new page knows the new ones.
    const stale = /dynamically imported module|module script|error loading/i.test(String(error));
    const shown = stale ? new Error("The console was updated while this page was open") : error;
    return (
      <div className="mx-auto max-w-xl px-4 py-16">
        <ErrorBox error={asFailure(shown)} again={stale ? () => location.reload() : reset} />
      </div>
    );
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
