import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { equal, freeze, isParam, key, leafPlaces, lora, pipe, prompt, sllm, ties } from '../../src/index.ts'
import { loadAdapter, loadModel, orThrow, saveAdapter, saveModel } from '../../src/io/index.ts'
import { models, perturbed, trees } from '../../src/laws/index.ts'
import { digests } from '../../src/laws/values.ts'
import { release } from '../../src/ops/index.ts'
import { runsOf } from './suite.ts'

// The law kit's own survivesSaveLoad does all but write to a disk; here the files are real.
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-laws-'))
})
afterAll(() => rm(folder, { recursive: true }))

const numRuns = runsOf(25)

const expectSame = (saved: unknown, loaded: unknown): void => {
  expect(equal(saved, loaded)).toBe(true)
  expect([...digests(loaded)]).toEqual([...digests(saved)])
  expect(ties(loaded)).toEqual(ties(saved))
}

const everyKind = (model: never): unknown =>
  pipe(
    model,
    freeze,
    lora.unchecked({ at: '**.mlp', rank: 2, alpha: 3, scaling: 'alpha/sqrt(rank)' }),
    prompt.unchecked({ at: '**', length: 2 }),
  )

describe('what is loaded is what was saved', () => {
  test('any tree', async () => {
    await fc.assert(
      fc.asyncProperty(trees({ nonEmpty: true, style: 'float' }), async (tree) => {
        await orThrow(saveModel(tree, join(folder, 'tree')))
        const loaded: unknown = await orThrow(loadModel(join(folder, 'tree')))
        expectSame(tree, loaded)
        release(loaded, { keep: tree })
      }),
      { numRuns },
    )
  })

  test('any SLLM with LoRA and a prompt', async () => {
    await fc.assert(
      fc.asyncProperty(models(sllm), async (model) => {
        const tuned = perturbed(everyKind(model as never), key(1))
        await orThrow(saveModel(tuned, join(folder, 'model')))
        expectSame(tuned, await orThrow(loadModel(join(folder, 'model'))))
      }),
      { numRuns },
    )
  })

  test('any adapter, put back on its base, whose tensors stay the same', async () => {
    await fc.assert(
      fc.asyncProperty(models(sllm), async (model) => {
        const tuned = perturbed(everyKind(model as never), key(1), { only: (leaf) => leaf.status === 'trainable' })
        await orThrow(saveAdapter(tuned, join(folder, 'adapter')))
        const loaded: unknown = await orThrow(loadAdapter(model, join(folder, 'adapter')))
        expectSame(tuned, loaded)
        const of = new Set(leafPlaces(model).map((p) => p.node.value))
        const shared = leafPlaces(loaded).filter((p) => isParam(p.node) && p.node.status === 'frozen')
        expect(shared.length).toBeGreaterThan(0)
        expect(shared.every((p) => of.has(p.node.value))).toBe(true)
      }),
      { numRuns },
    )
  })
})
