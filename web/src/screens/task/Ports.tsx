import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, got } from "../../api/client";
import { type Attempt, useMay } from "../../api/queries";
import { Button, IconButton } from "../../parts/Button";
import { tellFailure } from "../../parts/Toast";

/** Ports that processes of the attempt listen on; one of them can be opened in a tab of its own. */
export function Ports({ attempt }: { attempt: Attempt }) {
  const client = useQueryClient();
  const { write } = useMay();
  const works = attempt.state === "running"; // only then it has a machine
  const key = ["ports", attempt.id];
  const ports = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => got(api.GET("/api/v1/attempts/{attempt}/ports", { params: { path: { attempt: attempt.id } }, signal })),
    enabled: works,
    refetchInterval: 4000,
    retry: false,
  });
  const again = () => client.invalidateQueries({ queryKey: key });
  const open = useMutation({
    // The tab is opened by the press itself: one that comes later is taken for an unwanted one.
    mutationFn: async ({ port, tab }: { port: number; tab: Window | null }) => {
      try {
        const { url } = await got(api.POST("/api/v1/attempts/{attempt}/ports/{port}/open", { params: { path: { attempt: attempt.id, port } } }));
        if (tab) {
          tab.opener = null;
          tab.location.replace(url);
        }
      } catch (error) {
        tab?.close();
        throw error;
      }
    },
    onSuccess: again,
    onError: tellFailure,
  });
  const close = useMutation({ mutationFn: (port: number) => got(api.DELETE("/api/v1/attempts/{attempt}/ports/{port}", { params: { path: { attempt: attempt.id, port } } })), onSuccess: again, onError: tellFailure });
  const found = ports.data?.ports ?? [];
  const why = ports.data?.out_of_reach;
  if (!works || (found.length === 0 && !why)) return null;
  return (
    <section aria-label="Ports">
      <h2 className="mb-1 text-xs font-semibold text-text-2">Ports</h2>
      {why && <p className="text-xs text-text-2">None can be opened here: {why}.</p>}
      <ul className="flex flex-col">
        {found.map((one) => (
          <li key={one.port} className="flex items-center gap-2 py-0.5 text-sm">
            <span className="tabular font-medium">{one.port}</span>
            <span className="flex-1 text-xs text-text-3">{one.listening ? (one.opened ? "opened" : "listens") : "nobody listens"}</span>
            {write && one.listening && (
              <Button size="sm" icon="external" busy={open.isPending && open.variables.port === one.port} aria-label={`Open port ${one.port}`} onClick={() => open.mutate({ port: one.port, tab: window.open("about:blank", "_blank") })}>
                Open
              </Button>
            )}
            {write && one.opened && <IconButton icon="close" label={`Close port ${one.port}`} onClick={() => close.mutate(one.port)} />}
          </li>
        ))}
      </ul>
    </section>
  );
}
