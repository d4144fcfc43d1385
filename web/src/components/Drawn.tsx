import { Line, LineChart, ReferenceArea, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { type Charted, SIGNS } from "./Chart";
import { figure } from "./figures";
import { stretches } from "./gaps";

const STROKES = { alert: "var(--bad)", fix: "var(--mantine-color-anchor)", change: "var(--quiet)" };
/** Pixels a `rem`, against the usual 16: on a wall letters are larger. */
const scale = (): number => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
const clock = (at: number) => new Date(at).toLocaleTimeString("en-GB");

/** A reading that no line leads to. */
function Alone({ cx, cy, shown }: { cx?: number; cy?: number; shown: boolean }) {
  return shown ? <circle cx={cx} cy={cy} r={1.6} fill="var(--mantine-color-anchor)" /> : <g />;
}

export default function Drawn({ metric, points, limits, marks, spans = [] }: Charted) {
  const looks = points.map((point) => ({ at: Date.parse(point.at), value: point.metrics[metric] }));
  const [first, last] = [looks[0]?.at ?? 0, looks.at(-1)?.at ?? 0];
  const seen = stretches(looks.filter(({ value }) => value !== undefined));
  const data = seen.flatMap((stretch, index) => [
    ...(index > 0 ? [{ at: ((seen[index - 1]?.at(-1)?.at ?? 0) + (stretch[0]?.at ?? 0)) / 2, value: null }] : []),
    ...stretch,
  ]);
  const alone = new Set(seen.flatMap((stretch) => (stretch.length === 1 ? stretch.map(({ at }) => at) : [])));
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
          dot={
            alone.size > 0 &&
            ((dot) => <Alone key={dot.index} cx={dot.cx} cy={dot.cy} shown={alone.has(data[dot.index]?.at ?? 0)} />)
          }
          stroke="var(--mantine-color-anchor)"
          strokeWidth={1.6}
          isAnimationActive={false}
        />
      </LineChart>
    </ResponsiveContainer>
  );
}
