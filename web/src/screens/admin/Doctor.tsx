import { useQuery } from "@tanstack/react-query";

import { api, got } from "../../api/client";
import { Button } from "../../parts/Button";
import { Icon } from "../../parts/Icon";
import { Section } from "../../parts/Section";
import { Asked } from "./lists";

/** What this machine offers, and the remedy for what is missing. */
export function Doctor() {
  const doctor = useQuery({ queryKey: ["doctor"], queryFn: () => got(api.GET("/api/v1/doctor")), staleTime: 30_000 });
  return (
    <Section
      title="Doctor"
      about="What this machine offers, and the remedy for what is missing."
      action={
        <Button size="sm" icon="retry" busy={doctor.isFetching} onClick={() => void doctor.refetch()}>
          Look again
        </Button>
      }
    >
      <Asked query={doctor}>
        {(findings) => (
          <ul className="rounded-md bg-raised shadow-raised">
            {findings.map((one, place) => (
              <li key={place} className="flex items-start gap-2.5 border-b border-line px-3 py-2.5 last:border-0">
                <Icon name={one.ok ? "check" : "alert"} className={`mt-0.5 ${one.ok ? "text-good" : "text-warn"}`} />
                <span className="sr-only">{one.ok ? "There: " : "Missing: "}</span>
                <div className="min-w-0 flex-1">
                  <p className="text-sm">
                    <span className="font-medium">{one.subject}</span> <span className="text-text-2">{one.text}</span>
                  </p>
                  {one.remedy && <p className="mt-0.5 text-sm text-warn">{one.remedy}</p>}
                </div>
              </li>
            ))}
          </ul>
        )}
      </Asked>
    </Section>
  );
}
