import { Line, LineChart, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { Charted } from "./Chart";
import { figure } from "./figures";

const clock = (at: number) => new Date(at).toLocaleTimeString("en-GB");

export default function Drawn({ metric, points, limits, marks }: Charted) {
  const data = points.map((point) => ({ at: Date.parse(point.at), value: point.metrics[metric] }));
  const [first, last] = [data[0]?.at ?? 0, data.at(-1)?.at ?? 0];
  return (
    <ResponsiveContainer width="100%" height="100%">
      <LineChart data={data} margin={{ top: 16, right: 6, bottom: 0, left: 0 }} accessibilityLayer={false}>
        <XAxis
          dataKey="at"
          type="number"
          domain={[first, last]}
          tickFormatter={clock}
          minTickGap={60}
          stroke="var(--line)"
        />
        <YAxis
          width={64}
          tickFormatter={(value: number) => figure(metric, value)}
          stroke="var(--line)"
          domain={["auto", "auto"]}
        />
        <Tooltip
          isAnimationActive={false}
          labelFormatter={(at) => clock(Number(at))}
          formatter={(value) => [figure(metric, Number(value)), ""]}
          separator=""
          contentStyle={{ background: "var(--surface)", border: "1px solid var(--line)", fontSize: 13 }}
        />
        {limits.map((limit) => (
          <ReferenceLine
            key={limit.value}
            y={limit.value}
            stroke="var(--bad)"
            strokeDasharray="4 4"
            ifOverflow="extendDomain"
          />
        ))}
        {marks
          .filter(({ at }) => Date.parse(at) >= first && Date.parse(at) <= last)
          .map((mark) => (
            <ReferenceLine
              key={`${mark.at}${mark.said}`}
              x={Date.parse(mark.at)}
              stroke={mark.kind === "alert" ? "var(--bad)" : "var(--mantine-color-anchor)"}
              label={{ value: mark.kind === "alert" ? "▲" : "●", position: "top", fontSize: 11 }}
            />
          ))}
        <Line
          dataKey="value"
          type="linear"
          dot={false}
          stroke="var(--mantine-color-anchor)"
          strokeWidth={1.6}
          isAnimationActive={false}
          connectNulls
        />
      </LineChart>
    </ResponsiveContainer>
  );
}
