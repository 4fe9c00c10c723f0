import { createLazyRoute } from "@tanstack/react-router";

function Home() {
  return <h1 className="p-4 text-lg font-semibold">Tasks</h1>;
}

export const Route = createLazyRoute("/")({ component: Home });
