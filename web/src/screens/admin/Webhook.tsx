import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Copy } from "../../parts/Copy";
import { Dialog } from "../../parts/Dialog";
import { ErrorBox } from "../../parts/Says";
import { Table } from "../../parts/Section";
import { ago } from "../../parts/words";
import { Asked } from "./lists";

/** What a forge has to be told so that it tells of labels, mentions and reviews, and what it told last. */
export function Webhook({ host, onClose }: { host: string; onClose: () => void }) {
  const client = useQueryClient();
  const params = { path: { host } };
  const query = { queryKey: ["forges", host, "webhook"], queryFn: () => got(api.GET("/api/v1/forges/{host}/webhook", { params })) };
  const webhook = useQuery(query);
  const secret = useMutation({
    mutationFn: () => got(api.POST("/api/v1/forges/{host}/webhook", { params, body: {} })),
    onSuccess: () => client.invalidateQueries({ queryKey: query.queryKey }),
  });
  return (
    <Dialog title={`Webhook of ${host}`} onClose={onClose} wide>
      <Asked query={webhook}>
        {({ url, events, kept, told }) => (
          <div className="space-y-4 text-sm">
            <p className="text-text-2">A label or a mention starts a task or a follow-up. Add a webhook there that sends JSON (application/json):</p>
            {secret.error && <ErrorBox error={secret.error} />}
            <dl className="grid grid-cols-[auto_minmax(0,1fr)] items-baseline gap-x-4 gap-y-2">
              <dt className="text-text-3">Address</dt>
              <dd>
                <Copy text={url} label="Copy the address" />
                {/^http:\/\/(127\.|localhost|\[::1\])/.test(url) && (
                  <p className="mt-1 text-xs text-text-3">
                    Only this machine reaches that. <code className="font-mono">PULLWRIGHT_URL</code> tells the server how others reach it.
                  </p>
                )}
              </dd>
              <dt className="text-text-3">Events</dt>
              <dd>{events}</dd>
              <dt className="text-text-3">Secret</dt>
              <dd className="flex flex-wrap items-center gap-2">
                {secret.data ? (
                  <>
                    <Copy text={secret.data.secret} label="Copy the secret" /> <span className="text-xs text-text-3">Shown this once.</span>
                  </>
                ) : (
                  <>
                    <span className="text-text-2">{kept ? "kept, and not shown again" : "none yet"}</span>
                    <Button size="sm" busy={secret.isPending} onClick={() => secret.mutate()}>
                      {kept ? "Make another" : "Make one"}
                    </Button>
                  </>
                )}
              </dd>
            </dl>
            {told.length === 0 ? (
              <p className="text-text-3">It has told nothing yet.</p>
            ) : (
              <Table label="What it told last" head={[{ name: "Told" }, { name: "By" }, { name: "How" }, { name: "What became of it" }]}>
                {told.map((one) => (
                  <tr key={one.id}>
                    <td className="text-xs whitespace-nowrap text-text-3">{ago(one.received)}</td>
                    <td>{one.asked.by}</td>
                    <td>{one.asked.how}</td>
                    <td className="text-xs text-text-2">
                      {one.fate}
                      {one.note && `: ${one.note}`}
                    </td>
                  </tr>
                ))}
              </Table>
            )}
          </div>
        )}
      </Asked>
    </Dialog>
  );
}
