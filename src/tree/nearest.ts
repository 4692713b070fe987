/** Edit distance with adjacent swaps, so that `c_porj` is one slip away from `c_proj`. */
const distance = (a: string, b: string): number => {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        (rows[i - 1]?.[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (rows[i - 1]?.[j - 1] ?? 0) + change,
        swap ? (rows[i - 2]?.[j - 2] ?? 0) + 1 : Infinity,
      )
    }
    rows.push(row)
  }
  return rows[a.length]?.[b.length] ?? 0
}

/** The few candidates most like a name, best first. */
export const nearest = (name: string, candidates: Iterable<string>, count = 3): readonly string[] =>
  [...new Set(candidates)]
    .map(c => [distance(name, c), c] as const)
    .toSorted(([a], [b]) => a - b)
    .filter(([d, c]) => d <= Math.max(2, Math.ceil(Math.max(name.length, c.length) / 2)))
    .slice(0, count)
    .map(([, c]) => c)

/** A sentence that offers the nearest names, or lists some when none is near. */
export const didYouMean = (name: string, candidates: Iterable<string>): string => {
  const all = [...new Set(candidates)]
  const near = nearest(name, all)
  const list = (names: readonly string[]): string => names.map(n => `"${n}"`).join(', ')
  return near.length > 0 ? `Did you mean ${list(near)}?` : `There is ${list(all.slice(0, 8))}.`
}
