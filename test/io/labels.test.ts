import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { key } from '../../src/index.ts'
import { loadPretrained, orThrow } from '../../src/io/index.ts'
import type { PretrainedOptions } from '../../src/io/index.ts'
import { fixture } from './fixtures.ts'

/** A fixture whose configuration says something else, opened. */
const opened = async (name: string, change: object, options: PretrainedOptions = {}) => {
  const folder = join(await mkdtemp(join(tmpdir(), 'labels-')), 'model')
  await cp(fixture(`models/${name}`), folder, { recursive: true })
  const path = join(folder, 'config.json')
  const config = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...config, ...change }))
  return loadPretrained(folder, options)
}

describe('the number of classes', () => {
  test.each([
    ['id2label', { id2label: {} }],
    ['num_labels', { id2label: null, num_labels: 0 }],
    ['num_labels', { id2label: null, num_labels: 1.5 }],
  ])('is refused for a classifier at %s: %j', async (field, change) => {
    for (const name of ['llama-seqcls', 'bert-tokcls']) {
      const result = await (await opened(name, change))()
      const issues = result._tag === 'Left' ? result.left : []
      expect(issues.map((i) => `${i._tag} ${i.path.split('/').at(-1)}`)).toEqual([`BadConfig config.json#${field}`])
    }
  })

  test('is nothing to other models, nor where it is told', async () => {
    for (const change of [{ id2label: {} }, { num_labels: 0 }]) {
      expect((await orThrow(await opened('llama', change))).task).toBe('causal-lm')
      const head = { task: 'sequence-classification', labels: 3, key: key(0) } as const
      const { config } = await orThrow(await opened('llama', change, head))
      expect(Object.keys(config['id2label'] as object)).toHaveLength(3)
    }
  })
})
