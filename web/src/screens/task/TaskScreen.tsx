import { createLazyRoute } from "@tanstack/react-router";

function TaskScreen() {
  return <h1 className="p-4 text-lg font-semibold">Task</h1>;
}

export const Route = createLazyRoute("/tasks/$task")({ component: TaskScreen });
