import { createLazyRoute } from "@tanstack/react-router";

function Compare() {
  return <h1 className="p-4 text-lg font-semibold">Compare</h1>;
}

export const Route = createLazyRoute("/compare")({ component: Compare });
