/*
 * Fields of our models have the names that modules have in transformers, so a label is nearly a name in its files. Only norms
 * call their two vectors otherwise, and so did transformers itself once.
 */

const toHub: Readonly<Record<string, string>> = { scale: 'weight', shift: 'bias' }
const old: readonly (readonly [RegExp, string])[] = [
  [/\.gamma$/, '.weight'],
  [/\.beta$/, '.bias'],
]

/** The name in a file of the parameter at a path of ours. */
export const hubKey = (label: string): string =>
  label.replace(/(^|\.)(scale|shift)$/, (_, dot: string, name: string) => `${dot}${toHub[name]}`)

/** The names that a tensor of a file may stand for: its own, that of newer files, and those with and without the body's name. */
export const hubCandidates = (name: string, body: string): readonly string[] => {
  const modern = old.reduce((n, [pattern, to]) => n.replace(pattern, to), name)
  const bare = modern.startsWith(`${body}.`) ? modern.slice(body.length + 1) : modern
  return [modern, `${body}.${modern}`, bare]
}
