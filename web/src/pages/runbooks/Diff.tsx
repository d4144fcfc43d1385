import { diffLines } from "diff";

/** What is in one text and not in the other, line by line, by sign as well as by colour. */
export function Diff({ before, after, label }: { before: string; after: string; label: string }) {
  const parts = diffLines(before, after);
  return (
    <div className="diff" role="region" aria-label={label} tabIndex={0}>
      {parts.flatMap((part, at) => {
        const sign = part.added ? "+" : part.removed ? "−" : " ";
        return part.value
          .replace(/\n$/, "")
          .split("\n")
          .map((line, index) => (
            <div
              key={`${at}/${index}`}
              className={part.added ? "diff-added" : part.removed ? "diff-removed" : undefined}
            >
              {sign} {line}
            </div>
          ));
      })}
    </div>
  );
}
