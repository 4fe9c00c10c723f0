import { createLazyRoute } from "@tanstack/react-router";

function Admin() {
  return <h1 className="p-4 text-lg font-semibold">Admin</h1>;
}

export const Route = createLazyRoute("/admin")({ component: Admin });
