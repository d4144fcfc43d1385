import { useQuery } from "@tanstack/react-query";
import { asked } from "~/api/queries";
import { Dependencies } from "~/components/Dependencies";
import { Loaded } from "~/components/States";
import { Title } from "~/components/Title";

export function MapPage() {
  const map = useQuery(asked.map());
  return (
    <>
      <Title
        name="Map"
        says="What needs what, as inferred from live connections and from what is declared. An arrow points to what is needed."
      />
      <Loaded query={map}>{(view) => <Dependencies view={view} />}</Loaded>
    </>
  );
}
