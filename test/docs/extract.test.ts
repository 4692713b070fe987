import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { extract, typeErrors } from '../../scripts/extract-doctests.mjs'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const files: Record<string, string> = {
  'README.md': `# A project

\`\`\`ts
import { half } from './half.ts'
const two = half(4) // => 2
half(two); half(6) // => 3
half(-1) // => Error: negative
const late = await Promise.resolve({ deep: [half(10)] })
late
// => { deep:
//      [5] }
console.log('four') // => 'four'
\`\`\`

\`\`\`ts
half(4)
\`\`\`

1. in a list

   \`\`\`ts
   import { half } from './half.ts'

   half(8) // => 3
   \`\`\`

\`\`\`ts no-run
process.exit(7)
\`\`\`

\`\`\`text
not code // => at all
\`\`\`
`,
  'docs/guide.md': `\`\`\`ts
const start: number = 20
\`\`\`

and on

\`\`\`ts continued
import { half } from '../half.ts'
half(start) // => 10
import { third } from '../half.ts'
\`\`\`

\`\`\`ts
const unused = () => {
  half(2) // => 1
}
\`\`\`

\`\`\`ts norun
\`\`\`

\`\`\`ts
Math.sqrt(4) // => Error
\`\`\`
`,
  'docs/api/generated.md': '```ts\nthrow new Error("never read")\n```\n',
  'src/area.ts': `/**
 * The area of a square.
 *
 * @example
 * \`\`\`ts
 * const side = 3
 * side * side // => 9
 * side.toFixed(2, 2) // => '3.00'
 * \`\`\`
 */
export const area = (side: number): number => side * side

/** @example area(3) */
export const other = area
`,
}
// Fences find their relative imports from where they are generated.
const half = `export const half = (x: number): number => {
  if (x < 0) throw new RangeError('a negative number')
  return x / 2
}
`

type Report = { testResults: { assertionResults: { title: string; status: string; failureMessages: string[] }[] }[] }
let written: string[]
let types: string[]
let results: Map<string, { status: string; message: string }>
const root = mkdtempSync(join(tmpdir(), 'espalier-extract-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const run = (program: string, ...args: string[]): string =>
  spawnSync(process.execPath, [join(repository, 'node_modules', program), ...args], { cwd: root, encoding: 'utf8' })
    .stdout

beforeAll(() => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'))
  const compilerOptions = { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, types: ['node'] }
  const allow = { allowImportingTsExtensions: true, skipLibCheck: true }
  const config = { compilerOptions: { ...compilerOptions, ...allow }, include: ['.doctest/**/*.ts'] }
  writeFileSync(join(root, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  const include = "{ test: { include: ['.doctest/**/*.test.ts'] } }"
  writeFileSync(join(root, 'vitest.config.mjs'), `export default ${include}`)

  written = extract(root)
  writeFileSync(join(root, '.doctest/half.ts'), half)
  const output = run('typescript/bin/tsc', '-p', '.', '--pretty', 'false')
  types = typeErrors(output, (file) => readFileSync(join(root, '.doctest', file), 'utf8'))
  run('vitest/vitest.mjs', 'run', '--reporter=json', '--outputFile=report.json')
  const report = JSON.parse(readFileSync(join(root, 'report.json'), 'utf8')) as Report
  results = new Map(
    report.testResults
      .flatMap((file) => file.assertionResults)
      .map(({ title, status, failureMessages }) => [title, { status, message: failureMessages.join('\n') }]),
  )
})

describe('the doc test extractor', () => {
  test('reads README, docs and doc comments, and nothing generated', () => {
    expect(written).toEqual([
      'README.md.3.test.ts',
      'README.md.15.test.ts',
      'README.md.21.test.ts',
      'README.md.27.check.ts',
      'docs/guide.md.1.test.ts',
      'docs/guide.md.13.test.ts',
      'docs/guide.md.19.test.ts',
      'docs/guide.md.22.test.ts',
      'docs/guide.md.fences.test.ts',
      'src/area.ts.5.test.ts',
      'src/area.ts.fences.test.ts',
    ])
  })

  test('passes true values, declarations, throws, values below, late imports and continued fences', () => {
    expect(results.get('README.md:3')).toEqual({ status: 'passed', message: '' })
    expect(results.get('docs/guide.md:1')).toEqual({ status: 'passed', message: '' })
  })

  test('fails a wrong value and names its line', () => {
    expect(results.get('README.md:21')?.status).toBe('failed')
    expect(results.get('README.md:21')?.message).toContain('README.md:24')
    expect(results.get('README.md:21')?.message).toContain('expected 4 to deeply equal 3')
  })

  test('fails an expected error that does not come', () => {
    expect(results.get('docs/guide.md:22')?.message).toContain('docs/guide.md:23')
  })

  test('fails an expectation that stands where it cannot be checked, an unknown tag and an @example without code', () => {
    expect(results.get('docs/guide.md:15')?.message).toContain('nothing before this `// =>` can be asserted')
    expect(results.get('docs/guide.md:19')?.message).toContain('unknown tag "norun"')
    expect(results.get('src/area.ts:13')?.message).toContain('@example without a ```ts fence')
  })

  test('type-checks without running what is tagged no-run', () => {
    expect(existsSync(join(root, '.doctest/README.md.27.check.ts'))).toBe(true)
    expect([...results.keys()]).not.toContain('README.md:27')
  })

  test('tells type errors in places of the source', () => {
    expect(types.map((line) => line.replace(/(TS\d+).*/, '$1')).toSorted()).toEqual([
      'README.md:16: TS2304',
      'docs/guide.md:10: TS2305',
      'docs/guide.md:15: TS2304',
      'src/area.ts:8: TS2554',
    ])
  })
})
