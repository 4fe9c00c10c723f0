import { createLazyRoute } from "@tanstack/react-router";

function Usage() {
  return <h1 className="p-4 text-lg font-semibold">Usage</h1>;
}

export const Route = createLazyRoute("/usage")({ component: Usage });
