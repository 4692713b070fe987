// Every ```ts fence of README.md, docs/ and the doc comments of src/ becomes a test under .doctest/ that is type-checked
// and run. A line keeps its number: line 45 of .doctest/README.md.40.test.ts is line 45 of README.md, so a compiler error
// or a stack trace in the one names the place in the other.
//
//   f(x) // => value           asserts that the expression equals the value; after `const y = f(x)` it asserts y
//   f(x) // => Error: text     asserts a throw whose message contains the text
//   // => value                on the next line belongs to the statement above it; `//    more` carries it on
//
// Tags after ts: `no-run` is type-checked only; `continued` goes on with the code of the fence before it.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { docCommentFences, markdownFences } from './doctests/fences.mjs'
import { rewrite } from './doctests/rewrite.mjs'

const knownTags = ['no-run', 'continued']

/** @param {string} root @param {string} folder */
const filesIn = (root, folder) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) =>
          join(entry.parentPath, entry.name)
            .slice(root.length + 1)
            .split(sep)
            .join('/'),
        )
        .toSorted()
    : []

const sources = (root) => [
  ...(existsSync(join(root, 'README.md')) ? ['README.md'] : []),
  ...filesIn(root, 'docs').filter((file) => file.endsWith('.md') && !file.startsWith('docs/api/')),
  ...filesIn(root, 'src').filter((file) => file.endsWith('.ts') && !file.startsWith('src/ops/wasm/kernels/')),
]

/** Fences that are one program: each first fence with those that are `continued` after it. */
const programs = (fences) => {
  const chains = []
  for (const fence of fences) {
    if (fence.tags.includes('continued') && chains.length > 0) chains.at(-1).push(fence)
    else chains.push([fence])
  }
  return chains
}

const header = "import { expect as $expect, test as $test } from 'vitest'"

/** A line that is neither empty nor a comment of its own. */
const isCode = (line) => !/^\s*(\/\/.*)?$/.test(line)

/** The module of one program: code at its own line numbers, imports that come late after the end with their line beside. */
const moduleOf = (source, pieces) => {
  const code = pieces.flatMap(({ fence, body }) => body.map((text, k) => ({ line: fence.line + 1 + k, text })))
  const hoisted = pieces.flatMap((piece) => piece.hoisted)
  const start = code.find(({ text }) => isCode(text))?.line ?? (code.at(-1)?.line ?? pieces[0].fence.line) + 1
  const lines = []
  const write = (line, text) => {
    while (lines.length < line) lines.push('')
    lines[line - 1] += text
  }
  write(1, `${header}; `)
  for (const { line, text } of hoisted.filter((statement) => statement.line < start))
    for (const [k, part] of text.split('\n').entries()) write(line + k, part)
  write(start, `;$test('${source}:${pieces[0].fence.line}', async () => { `)
  for (const { line, text } of code) if (line >= start) write(line, text)
  lines.push('})')
  for (const { line, text } of hoisted.filter((statement) => statement.line >= start))
    lines.push(...text.split('\n').map((part, k) => `${part} /* line ${line + k} */`))
  return [...lines, ''].join('\n')
}

/** What is wrong with the fences themselves: one failing test each. */
const problemsOf = (pieces, examplesWithout) => [
  ...examplesWithout.map((line) => ({ line, text: '@example without a ```ts fence' })),
  ...pieces.flatMap(({ fence, problems }) => [
    ...problems,
    ...fence.tags
      .filter((tag) => !knownTags.includes(tag))
      .map((tag) => ({ line: fence.line, text: `unknown tag "${tag}": there are ${knownTags.join(' and ')}` })),
  ]),
]
const failing = (source, { line, text }) =>
  `$test('${source}:${line}', () => { throw new Error(${JSON.stringify(`${source}:${line}: ${text}`)}) })\n`

/**
 * Writes the doc tests of the project at `root` into `out` and returns the names of the files written.
 *
 * @param {string} root
 * @param {string} [out]
 * @returns {string[]}
 */
export const extract = (root, out = join(root, '.doctest')) => {
  rmSync(out, { recursive: true, force: true })
  const written = []
  const save = (name, text) => {
    mkdirSync(dirname(join(out, name)), { recursive: true })
    writeFileSync(join(out, name), text)
    written.push(name)
  }
  for (const source of sources(root)) {
    const text = readFileSync(join(root, source), 'utf8')
    const { fences, empty } = source.endsWith('.md')
      ? { fences: markdownFences(text), empty: [] }
      : docCommentFences(text)
    const chains = programs(fences).map((chain) =>
      chain.map((fence) => ({ fence, ...rewrite(fence.code, source, fence.line + 1) })),
    )
    for (const pieces of chains) {
      const kind = pieces.some(({ fence }) => fence.tags.includes('no-run')) ? 'check' : 'test'
      save(`${source}.${pieces[0].fence.line}.${kind}.ts`, moduleOf(source, pieces))
    }
    const problems = problemsOf(chains.flat(), empty)
    if (problems.length > 0)
      save(`${source}.fences.test.ts`, `${header}\n${problems.map((problem) => failing(source, problem)).join('')}`)
  }
  return written
}

/**
 * The compiler's complaints about doc tests, told in places of the sources they come from.
 *
 * @param {string} output what `tsc --pretty false` printed
 * @param {(file: string) => string} read the text of a generated file
 * @returns {string[]}
 */
export const typeErrors = (output, read) =>
  output.split('\n').flatMap((line) => {
    const found = /^\.doctest\/((.+)\.\d+\.(?:test|check)\.ts)\((\d+),\d+\): error (.*)$/.exec(line)
    if (found === null) return line.startsWith('error TS') ? [line] : []
    const [, file, source, at, message] = found
    const late = /\/\* line (\d+) \*\/$/.exec(read(file).split('\n')[Number(at) - 1] ?? '')
    return [`${source}:${late?.[1] ?? at}: ${message}`]
  })

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '')
  console.log(`${extract(root).length} doc tests`)
}
