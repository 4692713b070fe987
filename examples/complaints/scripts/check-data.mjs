// Fails when the data are not what data/README.md says: duplicates, shared templates, leaks,
// a base corpus that cannot be made again.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const labels = ['complaint', 'no complaint']
const path = (name) => fileURLToPath(new URL(`../data/${name}`, import.meta.url))
const read = (name) => readFileSync(path(name), 'utf8')
const wordsOf = (text) => text.toLowerCase().match(/[a-z0-9']+/g) ?? []
const problems = []

const load = (split) =>
  read(`${split}.jsonl`)
    .trimEnd()
    .split('\n')
    .map((line, index) => {
      const { text, label, ...rest } = JSON.parse(line)
      const words = wordsOf(text)
      const row = { split, at: `${split}:${index + 1}`, text, label, words, bag: new Set(words) }
      if (!labels.includes(label) || Object.keys(rest).length > 0) problems.push(`${row.at} is not { text, label }`)
      if (words.length < 5 || words.length > 35) problems.push(`${row.at} has ${words.length} words: ${text}`)
      return row
    })

const train = load('train')
const heldout = load('heldout')
const rows = [...train, ...heldout]
const base = read('base.txt')

const groupBy = (items, keyOf) => {
  const groups = new Map()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return groups
}
const show = (group) => group.map((row) => `\n    ${row.at} ${row.text}`).join('')
const runs = (words, length) => words.slice(length - 1).map((_, index) => words.slice(index, index + length).join(' '))

for (const [split, part] of Object.entries({ train, heldout })) {
  const counts = labels.map((label) => part.filter((row) => row.label === label).length)
  const lengths = part.map((row) => row.words.length)
  const mean = lengths.reduce((sum, length) => sum + length, 0) / part.length
  console.log(
    `${split}: ${part.length} sentences, ${labels.map((label, index) => `${counts[index]} ${label}`).join(', ')}; ` +
      `words ${Math.min(...lengths)} to ${Math.max(...lengths)}, mean ${mean.toFixed(1)}`,
  )
  if (counts[0] !== counts[1]) problems.push(`${split} is not balanced: ${counts.join(' and ')}`)
}

for (const group of groupBy(rows, (row) => row.words.join(' ')).values()) {
  if (group.length > 1) problems.push(`the same sentence ${group.length} times:${show(group)}`)
}

let closest = 0
for (const [index, one] of rows.entries()) {
  for (const other of rows.slice(0, index)) {
    const shared = [...one.bag].filter((word) => other.bag.has(word)).length
    const likeness = shared / (one.bag.size + other.bag.size - shared)
    closest = Math.max(closest, likeness)
    if (likeness >= 0.6) problems.push(`near-duplicates, Jaccard ${likeness.toFixed(2)}:${show([one, other])}`)
  }
}
console.log(`closest pair: token Jaccard ${closest.toFixed(2)} (limit 0.6)`)

const openings = groupBy(rows, (row) => row.words.slice(0, 5).join(' '))
for (const [opening, group] of openings) {
  if (group.length > 3) problems.push(`${group.length} sentences open with "${opening}":${show(group)}`)
}
console.log(
  `most frequent opening of five words: ${Math.max(...[...openings.values()].map((group) => group.length))} times`,
)

// A template is what is left of a sentence when every word outside this closed class becomes one blank.
const closed = new Set(
  `a an the this that these those my your our his her its their i you he she it we they me him us them one
  and or but so because although if when while as until before after since than though yet nor
  of in on at to from for with without by about into over out up off down under through between near again
  is are was were be been being am do does did done have has had will would can could may might must shall should
  not no never nothing nobody none every each all any some more most too very still just only even also
  what which who where why how there here then now once please thank thanks`.match(/\S+/g),
)
const template = (row) =>
  row.words
    .map((word) => (closed.has(word) ? word : '_'))
    .join(' ')
    .replace(/_( _)*/g, '_')
const kept = (pattern) => pattern.split(' ').filter((word) => word !== '_').length
const templates = groupBy(rows, template)
for (const [pattern, group] of templates) {
  const across = new Set(group.map((row) => row.split)).size > 1
  if (kept(pattern) >= 4 && across) problems.push(`both splits share the template "${pattern}":${show(group)}`)
  if (kept(pattern) >= 4 && group.length > 3) problems.push(`${group.length} times "${pattern}":${show(group)}`)
}
console.log(`distinct templates: ${templates.size} of ${rows.length}`)

const trainRuns = new Set(train.flatMap((row) => runs(row.words, 5)))
const baseSentences = base.split(/[.!?\n]/).map(wordsOf)
const baseRuns = new Set(baseSentences.flatMap((words) => runs(words, 5)))
const whole = new Set(baseSentences.map((words) => words.join(' ')))
for (const row of heldout) {
  for (const run of runs(row.words, 5)) {
    if (trainRuns.has(run)) problems.push(`${row.at} shares "${run}" with train`)
    if (baseRuns.has(run)) problems.push(`${row.at} shares "${run}" with base.txt`)
  }
}
for (const row of rows) if (whole.has(row.words.join(' '))) problems.push(`base.txt contains ${row.at}`)
if (/complain/i.test(base)) problems.push('base.txt says "complain": the labels must not stand in it')
console.log(`base.txt: ${base.trimEnd().split('\n').length} lines, ${base.length} bytes, ${wordsOf(base).length} words`)

const folder = mkdtempSync(join(tmpdir(), 'base-corpus-'))
try {
  const script = fileURLToPath(new URL('make-base-corpus.mjs', import.meta.url))
  execFileSync(process.execPath, [script, '12000', '8', join(folder, 'base.txt')])
  if (readFileSync(join(folder, 'base.txt'), 'utf8') !== base)
    problems.push('make-base-corpus.mjs does not give base.txt')
} finally {
  rmSync(folder, { recursive: true })
}

for (const problem of problems) console.error(`✗ ${problem}`)
console.log(problems.length === 0 ? '✓ all checks passed' : `✗ ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
