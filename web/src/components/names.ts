import { useQuery } from "@tanstack/react-query";
import { asked } from "~/api/queries";
import { short } from "./figures";

/** What people call a resource: its slug; of what is gone the last part of its id. */
export function useNames(): (id: string) => string {
  const { data } = useQuery({
    ...asked.status(),
    select: ({ items }) => new Map(items.map(({ id, slug }) => [id, slug])),
  });
  return (id) => data?.get(id) ?? short(id);
}
