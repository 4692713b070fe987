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

// A slip is looked for where a person would see it: names as long as a file, or by the hundred thousand, would take minutes.
const MOST_NAMES = 5000
const LONGEST_NAME = 200

/** How many edits a name may be away. */
const allowance = (a: string, b: string): number => Math.max(2, Math.ceil(Math.max(a.length, b.length) / 3))

/** The few candidates most like a name, best first; none that is much less like it than the best. */
export const nearest = (name: string, candidates: Iterable<string>, count = 3): readonly string[] => {
  const ranked = [...new Set(candidates)]
    .slice(0, MOST_NAMES)
    // The difference in length is the least that the distance can be.
    .filter((c) => c.length <= LONGEST_NAME && Math.abs(c.length - name.length) <= allowance(name, c))
    .map((c) => [distance(name, c), c] as const)
    .toSorted(([a], [b]) => a - b)
  const best = ranked[0]?.[0] ?? 0
  return ranked
    .filter(([d, c]) => d <= allowance(name, c) && d <= 2 * best + 1)
    .slice(0, count)
    .map(([, c]) => c)
}

/** A sentence that offers the nearest names, or lists some when none is near. */
export const didYouMean = (name: string, candidates: Iterable<string>): string => {
  const all = [...new Set(candidates)]
  const near = nearest(name, all)
  const list = (names: readonly string[]): string => names.map((n) => `"${n}"`).join(', ')
  if (all.length === 0) return 'There is nothing to choose from.'
  return near.length > 0 ? `Did you mean ${list(near)}?` : `There is ${list(all.slice(0, 8))}.`
}

const INDEX = /^(\d+|\{-?\d+\.\.-?\d+\})$/
const starred = (path: readonly string[]): readonly string[] => path.map((s) => (INDEX.test(s) ? '*' : s))

/** A sentence that offers the paths most like a pattern, written as it is: indices as `*`, tails after `**`. */
export const nearestPattern = (paths: readonly (readonly string[])[], like: string): string => {
  const full = paths.filter((p) => p.length > 0).map(starred)
  const segments = like.split(/\.(?![^{]*\})/)
  const tail = Math.max(1, segments.length - 1)
  const written = like.startsWith('**')
    ? full.filter((p) => p.length >= tail && p.at(-1) !== '*').map((p) => `**.${p.slice(p.length - tail).join('.')}`)
    : full.map((p) => p.join('.'))
  // A bare name, as other libraries take it, stands for itself at any depth.
  const anywhere = `**.${like}`
  if (full.some((p) => endsWith(p, segments))) return `Did you mean "${anywhere}"?`
  return didYouMean(starred(segments).join('.'), written)
}

const endsWith = (path: readonly string[], tail: readonly string[]): boolean =>
  path.length > tail.length && tail.every((segment, i) => segment === path[path.length - tail.length + i])
