import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Section, Table } from "../../parts/Section";
import { tell, tellFailure } from "../../parts/Toast";
import { ago, bytes, plural } from "../../parts/words";
import { environmentQuery, type EnvironmentView } from "./environment";

const KINDS: Record<string, string> = { setup: "Setup", tree: "Checkout", kept: "After maintenance", image: "Image" };

/** The read-only layers that attempts are forked from, when they were used last, and their room on the disk. */
export function Layers({ view, admin }: { view: EnvironmentView; admin: boolean }) {
  const client = useQueryClient();
  const { key } = view.repository;
  const remove = useMutation({
    mutationFn: () => got(api.DELETE("/api/v1/repositories/{key}/layers", { params: { path: { key } } })),
    onSuccess: (removed) => {
      tell(`${plural(removed.environments, "layer")} removed, ${bytes(removed.size)}`, removed.kept.length > 0 ? `${plural(removed.kept.length, "layer")} in use stays.` : "The next task prepares it anew.");
      return client.invalidateQueries({ queryKey: environmentQuery(key).queryKey });
    },
    onError: tellFailure,
  });
  return (
    <Section
      title="Layers and disk"
      action={
        admin &&
        view.layers.length > 0 && (
          <Button size="sm" look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
            Remove what is prepared
          </Button>
        )
      }
      about={`Each attempt is a copy-on-write fork of these. Together ${bytes(view.bytes)}; where room is short, what was not used for longest goes first.`}
    >
      {view.layers.length === 0 ? (
        <p className="rounded-md bg-raised px-3 py-4 text-sm text-text-2 shadow-raised">None yet.</p>
      ) : (
        <Table label="Layers" head={[{ name: "Layer" }, { name: "Kind" }, { name: "Made", right: true }, { name: "Last used", right: true }, { name: "On the disk", right: true }]}>
          {view.layers.map((one) => (
            <tr key={one.key}>
              <td className="max-w-64 truncate font-mono text-xs" title={one.layer}>
                {one.layer}
              </td>
              <td>{KINDS[one.kind] ?? one.kind}</td>
              <td className="text-right text-xs whitespace-nowrap text-text-3">{ago(one.prepared)}</td>
              <td className="text-right text-xs whitespace-nowrap text-text-3">{one.held ? "in use" : one.used && ago(one.used)}</td>
              <td className="text-right whitespace-nowrap">{one.bytes === null ? <span className="text-text-3">gone: made anew when needed</span> : bytes(one.bytes)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Section>
  );
}
