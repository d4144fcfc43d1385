import { diffLines } from "diff";

const AROUND = 3; // lines that are shown beside what differs

interface Line {
  sign: "+" | "−" | " " | "…";
  text: string;
}

/** Line by line what is in one text and not in the other, with a few lines around it. */
export function compared(before: string, after: string): Line[] {
  const parts = diffLines(before, after);
  return parts.flatMap((part, at): Line[] => {
    const lines = part.value.replace(/\n$/, "").split("\n");
    const sign = part.added ? "+" : part.removed ? "−" : " ";
    const [head, tail] = [at > 0 ? AROUND : 0, at < parts.length - 1 ? AROUND : 0];
    if (sign !== " " || lines.length <= head + tail + 1) return lines.map((text) => ({ sign, text }));
    const left = lines.length - head - tail;
    return [
      ...lines.slice(0, head).map((text) => ({ sign, text }) as Line),
      { sign: "…", text: `${left} lines are the same` },
      ...lines.slice(lines.length - tail).map((text) => ({ sign, text }) as Line),
    ];
  });
}

const LOOKS: Record<Line["sign"], string | undefined> = {
  "+": "diff-added",
  "−": "diff-removed",
  "…": "diff-same",
  " ": undefined,
};

/** The difference of two texts, by sign as well as by colour. */
export function Diff({ before, after, label }: { before: string; after: string; label: string }) {
  return (
    <div className="diff" role="region" aria-label={label} tabIndex={0}>
      {compared(before, after).map(({ sign, text }, index) => (
        <div key={index} className={LOOKS[sign]}>
          {sign} {text}
        </div>
      ))}
    </div>
  );
}
