import { createLazyRoute } from "@tanstack/react-router";

function Environments() {
  return <h1 className="p-4 text-lg font-semibold">Environments</h1>;
}

export const Route = createLazyRoute("/environments")({ component: Environments });
