/** How the map is drawn: what others need lies further right, and no line runs behind a box: what leads past a column has
 * a lane of its own between its boxes. (Sugiyama, Tagawa, Toda 1981: layers, lanes, order by barycentres, places.) */
interface Edge {
  source: string;
  target: string;
}

/** In pixels: of boxes, between columns, between boxes, and between a lane and what is beside it. */
export interface Sizes {
  wide: number;
  high: number;
  gap: number;
  space: number;
  lane: number;
}

export interface Layout<E extends Edge> {
  /** The left upper corner of each box. */
  boxes: Map<string, { x: number; y: number }>;
  lines: { edge: E; path: string }[];
  width: number;
  height: number;
}

/** Of what has more boxes and lanes than this, order and places are looked for once, not in eight rounds. */
const MANY = 5_000;

/** In which column each lies: right of all that need it; of a ring, one line leads back. */
export function columns(ids: string[], edges: Edge[]): Map<string, number> {
  const known = new Set(ids);
  const needs = new Map<string, string[]>(ids.map((id) => [id, []]));
  for (const { source, target } of edges)
    if (source !== target && known.has(source) && known.has(target)) needs.get(source)?.push(target);
  const begun = new Set<string>();
  const order: string[] = []; // each after all it needs
  const after = new Map<string, string[]>(ids.map((id) => [id, []])); // without what leads back
  const open = new Set<string>();
  for (const first of ids) {
    const path: { id: string; next: number }[] = begun.has(first) ? [] : [{ id: first, next: 0 }];
    for (let top = path.at(-1); top; top = path.at(-1)) {
      begun.add(top.id);
      open.add(top.id);
      const to = needs.get(top.id)?.[top.next++];
      if (to === undefined) {
        open.delete(top.id);
        order.push(top.id);
        path.pop();
      } else if (!open.has(to)) {
        after.get(top.id)?.push(to);
        if (!begun.has(to)) path.push({ id: to, next: 0 });
      }
    }
  }
  const at = new Map(ids.map((id) => [id, 0]));
  const column = (id: string) => at.get(id) ?? 0;
  const needed = new Set([...after.values()].flat());
  for (const id of order.toReversed())
    for (const to of after.get(id) ?? []) at.set(to, Math.max(column(to), column(id) + 1));
  for (const id of ids) {
    const nearest = Math.min(...(after.get(id) ?? []).map(column));
    if (!needed.has(id) && Number.isFinite(nearest)) at.set(id, nearest - 1);
  }
  return at;
}

/** Places as near to those wished for as may be, in their order and so far apart (isotonic regression). */
function apart(wished: number[], weights: number[], offsets: number[]): number[] {
  const blocks: { sum: number; weight: number; count: number }[] = [];
  wished.forEach((wish, index) => {
    const weight = weights[index] ?? 1;
    let block = { sum: (wish - (offsets[index] ?? 0)) * weight, weight, count: 1 };
    for (let last = blocks.at(-1); last && last.sum / last.weight >= block.sum / block.weight; last = blocks.at(-1)) {
      blocks.pop();
      block = { sum: last.sum + block.sum, weight: last.weight + block.weight, count: last.count + block.count };
    }
    blocks.push(block);
  });
  const found = blocks.flatMap(({ sum, weight, count }) => Array<number>(count).fill(sum / weight));
  return found.map((place, index) => place + (offsets[index] ?? 0));
}

/** A box or a lane, in its column. */
interface Item {
  column: number;
  box: boolean;
  y: number;
  left: Item[];
  right: Item[];
}

export function lay<E extends Edge>(ids: string[], edges: E[], { wide, high, gap, space, lane }: Sizes): Layout<E> {
  const at = columns(ids, edges);
  const table: Item[][] = Array.from({ length: Math.max(0, ...at.values()) + 1 }, () => []);
  const items = new Map<string, Item>();
  function item(key: string, column: number, box: boolean): Item {
    const made: Item = items.get(key) ?? { column, box, y: 0, left: [], right: [] };
    if (!items.has(key)) table[column]?.push(made);
    items.set(key, made);
    return made;
  }
  ids.forEach((id) => item(id, at.get(id) ?? 0, true));
  const chains = edges.flatMap((edge) => {
    const [from, to] = [at.get(edge.source), at.get(edge.target)];
    if (from === undefined || to === undefined || from === to) return [];
    const step = from < to ? 1 : -1;
    const chain = [item(edge.source, from, true)];
    // What needs the same thing shares a lane to it; what leads back has one of its own.
    const name = step > 0 ? `to ${edge.target}` : `back ${edge.source} ${edge.target}`;
    for (let past = from + step; past !== to; past += step) chain.push(item(`${name} ${past}`, past, false));
    chain.push(item(edge.target, to, true));
    chain.slice(1).forEach((one, index) => {
      const before = chain[index];
      if (!before) return;
      const [left, right] = step > 0 ? [before, one] : [one, before];
      if (left.right.includes(right)) return;
      left.right.push(right);
      right.left.push(left);
    });
    return [{ edge, chain, step }];
  });

  const all = [...items.values()];
  const rounds = all.length > MANY ? 2 : 8;
  const mean = (of: Item[], otherwise: number) =>
    of.length ? of.reduce((sum, { y }) => sum + y, 0) / of.length : otherwise;
  table.forEach((column) => column.forEach((one, index) => (one.y = index)));
  for (let round = 0; round < rounds; round++) {
    const forth = round % 2 === 0;
    for (const column of forth ? table : table.toReversed()) {
      const wish = new Map(column.map((one) => [one, mean(forth ? one.left : one.right, one.y)]));
      column.sort((one, other) => (wish.get(one) ?? 0) - (wish.get(other) ?? 0));
      column.forEach((one, index) => (one.y = index));
    }
  }

  const beside = (one: Item, other: Item) =>
    one.box && other.box ? high + space : one.box || other.box ? high / 2 + lane : lane;
  const offsets = table.map((column) => {
    let offset = 0;
    return column.map((one, index) => {
      const before = column[index - 1];
      return before ? (offset += beside(before, one)) : 0;
    });
  });
  table.forEach((column, number) => column.forEach((one, index) => (one.y = offsets[number]?.[index] ?? 0)));
  for (let round = 0; round < rounds; round++) {
    const forth = round % 2 === 0;
    for (const number of forth ? table.keys() : [...table.keys()].toReversed()) {
      const column = table[number] ?? [];
      const wished = column.map((one) =>
        mean(round < 2 ? (forth ? one.left : one.right) : [...one.left, ...one.right], one.y),
      );
      const found = apart(
        wished,
        column.map((one) => (one.box ? 1 : 3)),
        offsets[number] ?? [],
      ); // lanes are straight
      column.forEach((one, index) => (one.y = found[index] ?? 0));
    }
  }

  const reach = ({ y, box }: Item, side: 1 | -1) => y + (box ? (side * high) / 2 : 0);
  const top = all.reduce((least, one) => Math.min(least, reach(one, -1)), Infinity);
  const x = (column: number) => column * (wide + gap);
  all.forEach((one) => (one.y = Math.round((one.y - top) * 10) / 10));
  return {
    boxes: new Map(ids.map((id) => [id, { x: x(at.get(id) ?? 0), y: (items.get(id)?.y ?? 0) - high / 2 }])),
    lines: chains.map(({ edge, chain, step }) => ({
      edge,
      path: chain
        .slice(1)
        .map((one, index) => {
          const before = chain[index] ?? one;
          const [from, to] = [x(before.column) + (step > 0 ? wide : 0), x(one.column) + (step > 0 ? 0 : wide)];
          const bend = (to - from) / 2;
          const begin = index === 0 ? `M${from} ${before.y}` : `L${from} ${before.y}`;
          return `${begin}C${from + bend} ${before.y} ${to - bend} ${one.y} ${to} ${one.y}`;
        })
        .join(""),
    })),
    width: x(table.length - 1) + wide,
    height: all.reduce((most, one) => Math.max(most, reach(one, 1)), 0),
  };
}
