/** Where nobody looked: a line drawn over it would tell of a fall or a rise that nobody saw. As in the reports
 * (`notify/html/gaps.py`). */

/** So many times what lies beside it. */
const LONG = 4;
/** Milliseconds below which nothing is a gap: one look may take that long. */
const LEAST = 10_000;
/** Milliseconds between two readings that are kept of what is well, one a minute, whatever lies beside them. */
const KEPT = [59_000, 65_000] as const;

/** Whether between two readings there is a gap, by how far they and those beside them are apart: of what is old, thinned or
 * well readings are far apart, and so are those beside them. */
function gap(apart: number, before: number | undefined, after: number | undefined): boolean {
  const usual = Math.max(before ?? 0, after ?? 0);
  const least = before === undefined || after === undefined ? KEPT[1] : LEAST;
  return usual > 0 && apart > least && apart > LONG * usual && !(apart >= KEPT[0] && apart <= KEPT[1]);
}

/** What was read without a gap, oldest first. */
export function stretches<T extends { at: number }>(points: T[]): T[][] {
  const apart = points.slice(1).map(({ at }, index) => at - (points[index]?.at ?? at));
  const found: T[][] = [];
  points.forEach((point, index) => {
    const last = found.at(-1);
    if (last && !gap(apart[index - 1] ?? 0, apart[index - 2], apart[index])) last.push(point);
    else found.push([point]);
  });
  return found;
}
