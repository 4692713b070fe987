import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

/** From the ground up: a file imports from its own floor and from those before it. `index` is the root export. */
const floors = [
  'tree',
  'ops',
  'kind',
  'weight',
  'nn',
  'model',
  'transform',
  'train',
  'index',
  'io',
  'laws',
  'fp',
  'cli',
]

/**
 * The floors inside of `ops`, by file or folder. The tape is on that of the definitions: a derivative is made of ops, and that
 * of a fused op may be had by the tape. `native` without its graphs runs nodes one by one.
 */
const opsFloors: readonly (readonly string[])[] = [
  ['op', 'attrs', 'symbolic', 'interpreters', 'tf', 'check', 'shape-rules', 'halves', 'codebooks', 'draws'],
  ['memory', 'current', 'budget'],
  ['wasm'],
  ['native'],
  ['dispatch', 'basic', 'create'],
  ['defs', 'tape', 'backward'],
  ['record', 'checkpoint', 'random', 'compare', 'interop'],
  ['compile'],
  ['native/graph'],
  ['engine'],
  ['index', 'internal'],
]

/** What the other floors may import of `ops`: what users have, what only we have, and the set-up, which only Node can do. */
const doors = ['ops/index.ts', 'ops/internal.ts', 'ops/native/install.ts']

type Import = { readonly from: string; readonly to: string }

const floorOf = (file: string): number => {
  const [first = '', ...rest] = file.split('/')
  return floors.indexOf(rest.length === 0 ? first.replace(/\.ts$/, '') : first)
}

/** What is wrong with an import from one file of `ops` to another. */
const wrongInOps = ({ from, to }: Import): string[] => {
  const place = (file: string): string => {
    const folder = posix.dirname(file).slice('ops/'.length)
    return folder === '' ? posix.basename(file, '.ts') : folder
  }
  const [above = -1, below = -1] = [from, to].map((file) => opsFloors.findIndex((f) => f.includes(place(file))))
  if (above < 0 || below < 0) return [`${above < 0 ? from : to} is on no floor of ops`]
  return below > above ? [`${from} imports ${to}: ${place(to)} is above ${place(from)} in ops`] : []
}

/** What is wrong with the imports of the files, given as a record of path inside src/ → text. */
const wrongImports = (files: Readonly<Record<string, string>>): string[] =>
  Object.entries(files)
    .flatMap(([from, text]): Import[] =>
      ts.preProcessFile(text).importedFiles.map(({ fileName }) => ({
        from,
        to: fileName.startsWith('.') ? posix.join(posix.dirname(from), fileName) : fileName,
      })),
    )
    .flatMap(({ from, to }) => {
      if (to.startsWith('@tensorflow/')) return from.startsWith('ops/') ? [] : [`${from} imports ${to}: only ops/ may`]
      if (!to.endsWith('.ts')) return []
      if (to.startsWith('..')) return [`${from} imports ${to}, which is not in src/`]
      const [above, below] = [floorOf(from), floorOf(to)]
      if (above < 0 || below < 0) return [`${above < 0 ? from : to} is on no floor: there are ${floors.join(' < ')}`]
      if (below > above) return [`${from} imports ${to}: ${floors[below]} is above ${floors[above]}`]
      if (!to.startsWith('ops/')) return []
      if (from.startsWith('ops/')) return wrongInOps({ from, to })
      return doors.includes(to) ? [] : [`${from} imports ${to}: ops has the doors ${doors.join(', ')}`]
    })

/** What each file imports; types are no arrows, since nothing is left of them. */
const arrowsOf = (files: Readonly<Record<string, string>>): ReadonlyMap<string, readonly string[]> =>
  new Map(
    Object.entries(files).map(([from, text]) => [
      from,
      ts.createSourceFile(from, text, ts.ScriptTarget.Latest).statements.flatMap((statement) => {
        if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return []
        const isType = ts.isImportDeclaration(statement)
          ? statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
          : statement.isTypeOnly
        const to = statement.moduleSpecifier
        return !isType && to !== undefined && ts.isStringLiteral(to) && to.text.startsWith('.')
          ? [posix.join(posix.dirname(from), to.text)]
          : []
      }),
    ]),
  )

/** The files that import themselves, however roundabout. */
const circles = (files: Readonly<Record<string, string>>): string[] => {
  const arrows = arrowsOf(files)
  const reached = (from: string): ReadonlySet<string> => {
    const seen = new Set<string>()
    const waiting = [...(arrows.get(from) ?? [])]
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop())
      if (!seen.has(at)) {
        seen.add(at)
        waiting.push(...(arrows.get(at) ?? []))
      }
    return seen
  }
  return Object.keys(files).filter((file) => reached(file).has(file))
}

const source = fileURLToPath(new URL('../../src', import.meta.url))
const ours = Object.fromEntries(
  readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !dirname(file).includes(join('wasm', 'kernels')))
    .map((file) => [file.slice(source.length + 1).replaceAll('\\', '/'), readFileSync(file, 'utf8')]),
)

describe('arrows between the folders of src/', () => {
  test('point downwards only', () => {
    expect(Object.keys(ours).length).toBeGreaterThan(0)
    expect(wrongImports(ours)).toEqual([])
  })

  test.each([
    ['tree/a.ts', "import type { Op } from '../ops/op.ts'", 'ops is above tree'],
    ['tree/a.ts', "export * from '../index.ts'", 'index is above tree'],
    ['index.ts', "export { check } from './laws/index.ts'", 'laws is above index'],
    ['weight/a.ts', "const load = () => import('../nn/define.ts')", 'nn is above weight'],
    ['tree/a.ts', "import * as tf from '@tensorflow/tfjs'", 'only ops/ may'],
    ['utils/a.ts', "import { a } from '../tree/leaf.ts'", 'utils/a.ts is on no floor'],
    ['tree/a.ts', "import { a } from '../../test/a.ts'", 'not in src/'],
    ['nn/a.ts', "import { isOwned } from '../ops/memory.ts'", 'ops has the doors'],
    ['ops/wasm/a.ts', "import type { A } from '../defs/a.ts'", 'defs is above wasm in ops'],
    ['ops/native/a.ts', "import { apply } from '../dispatch.ts'", 'dispatch is above native in ops'],
    ['ops/defs/a.ts', "const load = () => import('../native/graph/a.ts')", 'native/graph is above defs in ops'],
    ['ops/a.ts', "import type { Op } from './op.ts'", 'ops/a.ts is on no floor of ops'],
  ])('%s: %s is refused', (file, text, message) => {
    expect(wrongImports({ [file]: text })).toEqual([expect.stringContaining(message)])
  })

  test('lead no file back to itself', () => {
    expect(circles(ours)).toEqual([])
    expect(
      circles({
        'ops/a.ts': "import { b } from './defs/b.ts'",
        'ops/defs/b.ts': "export { c } from '../c.ts'",
        'ops/c.ts': "import { a } from './a.ts'",
        'ops/d.ts': "import { e } from './e.ts'",
        'ops/e.ts': "import type { D } from './d.ts'\nimport { a } from './a.ts'",
      }),
    ).toEqual(['ops/a.ts', 'ops/defs/b.ts', 'ops/c.ts'])
  })

  test('an arrow that points downwards, or to the same folder, is accepted', () => {
    const text =
      "import { a } from './b.ts'\nimport { b } from '../tree/leaf.ts'\nimport { c } from 'fp-ts'\nimport '../ops/internal.ts'"
    expect(wrongImports({ 'nn/a.ts': text, 'ops/b.ts': "import * as tf from '@tensorflow/tfjs'" })).toEqual([])
  })
})
