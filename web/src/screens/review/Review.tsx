import { createLazyRoute } from "@tanstack/react-router";

function Review() {
  return <h1 className="p-4 text-lg font-semibold">Review</h1>;
}

export const Route = createLazyRoute("/tasks/$task/review")({ component: Review });
