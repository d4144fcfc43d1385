import { useQuery } from "@tanstack/react-query";
import type { Approval, Effect } from "~/api/client";
import { asked } from "~/api/queries";
import { figure, short, words } from "./figures";
import { EffectBadge, WORST } from "./Steps";

const MEANS: Record<Effect, string> = {
  read: "is only looked at",
  reversible: "is set differently, and can be set back",
  disruptive: "is interrupted in what it does; nothing that is stored is lost, but for declared caches",
  destructive: "loses data",
};

/** A plain picture of what would happen: what is touched, how it is now, and who notices. */
export function Picture({ approval }: { approval: Approval }) {
  const { data: status } = useQuery(asked.status());
  const { data: map } = useQuery(asked.map());
  const { steps } = approval.plan;
  const touched = [...new Set(steps.map((step) => step.resource))];
  return (
    <ol className="picture" aria-label="What will happen">
      {touched.map((id) => {
        const item = status?.items.find((one) => one.id === id);
        const own = steps.filter((step) => step.resource === id);
        const worst = WORST[Math.max(...own.map((step) => WORST.indexOf(step.effect)))] ?? "read";
        const needed = [...new Set((map?.edges ?? []).filter((edge) => edge.target === id).map((edge) => edge.source))];
        const noticed = worst === "disruptive" || worst === "destructive" ? needed : [];
        return (
          <li key={id}>
            <div className="box">
              <b>{item?.slug ?? short(id)}</b>
              <span>
                now {item?.health.toLowerCase() ?? "unknown"}
                {item?.metric?.value != null &&
                  `, ${words(item.metric.name)} ${figure(item.metric.name, item.metric.value)}`}
              </span>
            </div>
            <span className="arrow" aria-hidden="true">
              →
            </span>
            <div className={`box box-${worst}`}>
              <b>{own.map((step) => step.tool).join(", ")}</b>
              <span>
                <EffectBadge effect={worst} /> it{" "}
                {worst === "disruptive" && item?.health === "FAILED"
                  ? "does not work now: nothing more is interrupted by it"
                  : MEANS[worst]}
              </span>
              {own.flatMap((step) => (step.expected ? [<span key={step.tool}>expected: {step.expected}</span>] : []))}
            </div>
            <span className="arrow" aria-hidden="true">
              →
            </span>
            <div className="box">
              <b>
                {noticed.length
                  ? noticed.map(nameOf).join(", ")
                  : needed.length
                    ? needed.map(nameOf).join(", ")
                    : "nobody else"}
              </b>
              <span>
                {noticed.length
                  ? `need${noticed.length > 1 ? "" : "s"} it, and may notice`
                  : needed.length
                    ? `need${needed.length > 1 ? "" : "s"} it, and will not notice`
                    : "is known to need it"}
              </span>
            </div>
          </li>
        );
      })}
    </ol>
  );

  function nameOf(id: string): string {
    return status?.items.find((one) => one.id === id)?.slug ?? short(id);
  }
}
