import { useQuery } from "@tanstack/react-query";

import { api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { ErrorBox } from "../../parts/Says";
import { Section, Table } from "../../parts/Section";
import { tell } from "../../parts/Toast";
import { ago, bytes, plural } from "../../parts/words";
import { Asked, useListChange } from "./lists";

/** What is prepared of every repository, what it takes, and room for more. */
export function Disk() {
  const shelf = useQuery({ queryKey: ["shelf"], queryFn: () => got(api.GET("/api/v1/environments/shelf")) });
  const clean = useListChange("shelf", (everything: boolean) => got(api.POST("/api/v1/environments/clean", { body: { everything } })));
  const sweep = (everything: boolean) => clean.mutate(everything, { onSuccess: (removed) => tell(`${plural(removed.environments, "layer")} removed, ${bytes(removed.size)}`) });
  return (
    <Section
      title="Prepared environments"
      about="Attempts are forked from these. Where room is short a worker removes what was not used for longest; what is in use stays."
      action={
        <span className="flex flex-wrap justify-end gap-2">
          <Button size="sm" busy={clean.isPending} onClick={() => sweep(false)}>
            Tidy up
          </Button>
          <Button size="sm" look="danger" busy={clean.isPending} onClick={() => sweep(true)}>
            Remove all that is not in use
          </Button>
        </span>
      }
    >
      {clean.error && <ErrorBox error={clean.error} className="mb-3" />}
      <Asked query={shelf}>
        {({ environments, ...all }) => (
          <>
            <p className="mb-3 text-sm text-text-2">
              {bytes(all.bytes)} on the disk, of {bytes(all.budget)} that they may take.
            </p>
            {environments.length === 0 ? (
              <p className="rounded-md bg-raised px-3 py-4 text-sm text-text-2 shadow-raised">Nothing is prepared yet: the first task of a repository prepares it.</p>
            ) : (
              <Table label="Prepared environments" head={[{ name: "Repository" }, { name: "Kind" }, { name: "Made", right: true }, { name: "Last used", right: true }, { name: "On the disk", right: true }]}>
                {environments.map((one) => (
                  <tr key={`${one.repository} ${one.key}`}>
                    <td title={one.repository}>{one.repository.replace(/-[0-9a-f]{12}$/, "")}</td>
                    <td>{KINDS[one.key.split("-")[0] ?? ""] ?? "Setup"}</td>
                    <td className="text-right text-xs whitespace-nowrap text-text-3">{ago(one.prepared)}</td>
                    <td className="text-right text-xs whitespace-nowrap text-text-3">{one.held || one.needed ? "in use" : ago(one.used)}</td>
                    <td className="text-right whitespace-nowrap">{bytes(one.bytes)}</td>
                  </tr>
                ))}
              </Table>
            )}
          </>
        )}
      </Asked>
    </Section>
  );
}

const KINDS: Record<string, string> = { tree: "Checkout", kept: "After maintenance", image: "Image" };
