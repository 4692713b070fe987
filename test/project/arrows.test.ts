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

type Import = { readonly from: string; readonly to: string }

const floorOf = (file: string): number => {
  const [first = '', ...rest] = file.split('/')
  return floors.indexOf(rest.length === 0 ? first.replace(/\.ts$/, '') : first)
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
      return below > above ? [`${from} imports ${to}: ${floors[below]} is above ${floors[above]}`] : []
    })

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
  ])('%s: %s is refused', (file, text, message) => {
    expect(wrongImports({ [file]: text })).toEqual([expect.stringContaining(message)])
  })

  test('an arrow that points downwards, or to the same folder, is accepted', () => {
    const text = "import { a } from './b.ts'\nimport { b } from '../tree/leaf.ts'\nimport { c } from 'fp-ts'"
    expect(wrongImports({ 'nn/a.ts': text, 'ops/b.ts': "import * as tf from '@tensorflow/tfjs'" })).toEqual([])
  })
})
