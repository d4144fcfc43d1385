import { Line, LineChart, ReferenceArea, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { type Charted, SIGNS } from "./Chart";
import { figure } from "./figures";

const STROKES = { alert: "var(--bad)", fix: "var(--mantine-color-anchor)", change: "var(--quiet)" };
/** Pixels a `rem`, against the usual 16: on a wall letters are larger. */
const scale = (): number => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
const clock = (at: number) => new Date(at).toLocaleTimeString("en-GB");

export default function Drawn({ metric, points, limits, marks, spans = [] }: Charted) {
  const data = points.map((point) => ({ at: Date.parse(point.at), value: point.metrics[metric] }));
  const [first, last] = [data[0]?.at ?? 0, data.at(-1)?.at ?? 0];
  const shown = marks.filter(({ at }) => Date.parse(at) >= first && Date.parse(at) <= last);
  const near = (at: number) => shown.filter((mark) => Math.abs(Date.parse(mark.at) - at) <= (last - first) / 60);
  return (
    <ResponsiveContainer width="100%" height="100%">
      <LineChart data={data} margin={{ top: 16 * scale(), right: 6, bottom: 0, left: 0 }} accessibilityLayer={false}>
        <XAxis
          dataKey="at"
          type="number"
          domain={[first, last]}
          tickFormatter={clock}
          minTickGap={60}
          stroke="var(--line)"
        />
        <YAxis
          width={64 * scale()}
          tickFormatter={(value: number) => figure(metric, value).replace(" ", "\u00a0")}
          stroke="var(--line)"
          domain={["auto", "auto"]}
        />
        <Tooltip
          isAnimationActive={false}
          labelFormatter={(at) => [clock(Number(at)), ...near(Number(at)).map(({ said }) => said)].join(" · ")}
          formatter={(value) => [figure(metric, Number(value)), ""]}
          separator=""
          contentStyle={{
            background: "var(--surface)",
            border: "1px solid var(--line)",
            fontSize: "0.8125rem",
            maxWidth: 340,
            whiteSpace: "normal",
          }}
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
        {spans.map((span) => (
          <ReferenceArea
            key={span.from}
            x1={Math.max(first, Date.parse(span.from))}
            x2={Math.min(last, Math.max(Date.parse(span.until), Date.parse(span.from) + (last - first) / 200))}
            fill="var(--mantine-color-anchor)"
            fillOpacity={0.14}
            stroke="none"
          />
        ))}
        {shown.map((mark) => (
          <ReferenceLine
            key={`${mark.at}${mark.said}`}
            x={Date.parse(mark.at)}
            stroke={STROKES[mark.kind]}
            strokeDasharray={mark.kind === "change" ? "2 3" : undefined}
            label={{ value: SIGNS[mark.kind], position: "top", fontSize: "0.7rem" }}
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
