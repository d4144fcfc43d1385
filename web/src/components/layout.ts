/** Where the boxes of the map stand: what others need lies further right; each column from top to bottom. */
export interface Placed {
  id: string;
  x: number;
  y: number;
}

const ROUNDS = 32;

export function layers(ids: string[], edges: { source: string; target: string }[]): Map<string, number> {
  const depth = new Map(ids.map((id) => [id, 0]));
  for (let round = 0; round < Math.min(ROUNDS, ids.length); round++) {
    let moved = false;
    for (const { source, target } of edges) {
      const least = (depth.get(source) ?? 0) + 1;
      if (source !== target && depth.has(target) && (depth.get(target) ?? 0) < least) {
        depth.set(target, Math.min(least, ids.length));
        moved = true;
      }
    }
    if (!moved) break;
  }
  return depth;
}

export function place(
  ids: string[],
  edges: { source: string; target: string }[],
  column: number,
  row: number,
): Placed[] {
  const depth = layers(ids, edges);
  const used = [...new Set(depth.values())].sort((one, other) => one - other);
  const heights = new Map<number, number>();
  return ids.map((id) => {
    const at = used.indexOf(depth.get(id) ?? 0);
    const height = heights.get(at) ?? 0;
    heights.set(at, height + 1);
    return { id, x: at * column, y: height * row };
  });
}
