import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { loadModel, loadRun, orThrow, saveModel, saveRun } from '../../src/io/index.ts'
import type { Issues } from '../../src/io/index.ts'
import { memory, read, scalar, tensor, zeros } from '../../src/ops/index.ts'
import { EspalierError, constant, param } from '../../src/tree/index.ts'
import { bytesOf, inFolder, same } from './trees.ts'

const net = (values: readonly number[], width = 2) => ({
  _tag: 'Net',
  fc1: {
    _tag: 'Linear',
    weight: param('matrix', 'fc1.weight', tensor([...values], [values.length / width, width])),
    bias: null,
  },
  rope: constant('rope', zeros([2])),
  heads: 2,
})

const issuesOf = async (task: () => Promise<E.Either<Issues, unknown>>): Promise<Issues> => {
  const result = await task()
  return E.isLeft(result) ? result.left : []
}

const told = async (task: () => Promise<E.Either<Issues, unknown>>): Promise<readonly string[]> =>
  (await issuesOf(task)).map((i) => `${i._tag} at ${i.path}: ${i.expected} / ${i.found}`)

describe('saving', () => {
  test('the JSON can be read by people', () =>
    inFolder(async (folder, hold) => {
      await orThrow(saveModel(hold(net([1, 2, 3, 4])), folder))
      const text = readFileSync(join(folder, 'model.json'), 'utf8')
      expect(text.replaceAll(/[0-9a-f]{64}/g, '…')).toBe(`{
  "format": "espalier/model",
  "version": 1,
  "tree": {
    "_tag": "Net",
    "fc1": {
      "_tag": "Linear",
      "weight": { "_tag": "Param", "label": "fc1.weight", "status": "trainable", "form": "matrix", "shape": [2, 2], "dtype": "float32" },
      "bias": null
    },
    "rope": { "_tag": "Constant", "label": "rope", "shape": [2], "dtype": "float32" },
    "heads": 2
  },
  "tensors": { "bytes": 160, "sha256": "…" },
  "checksum": "…"
}
`)
    }))

  test('refuses what cannot be written, all of it, with the paths', () =>
    inFolder(async (folder, hold) => {
      const [a, b] = [param('vector', 'x', zeros([1])), param('vector', 'x', zeros([1]))]
      hold([a, b])
      const bad = {
        a,
        b,
        c: Number.NaN,
        d: { e: undefined },
        f: () => 1,
        g: new Map(),
        h: 1n,
        i: { _tag: '~tensor' },
        j: [{ ...a, extra: 1 }],
      }
      expect(await told(saveModel(bad, folder))).toEqual([
        'LabelClash at b: the label "x" to name one leaf / another leaf under the same label',
        'BadData at c: a finite number, a string, a boolean or null / NaN',
        'BadData at d.e: a finite number, a string, a boolean or null / nothing',
        'BadData at f: a finite number, a string, a boolean or null / a function',
        'BadData at g: a plain object / an instance of Map',
        'BadData at h: a finite number, a string, a boolean or null / 1',
        'BadData at i: a tag that does not begin with "~" / "~tensor"',
        'BadLeaf at j.0: a Param with a label and a tensor / the field "extra"',
      ])
      expect(readdirSync(folder)).toEqual([])
    }))

  test('refuses a tree that holds itself', () =>
    inFolder(async (folder) => {
      const loop: { self?: unknown } = {}
      loop.self = loop
      expect((await issuesOf(saveModel(loop, folder)))[0]?._tag).toBe('TooDeep')
    }))

  test('what fails half-way leaves the old model whole', () =>
    inFolder(async (folder, hold) => {
      const old = hold(net([1, 2, 3, 4]))
      await orThrow(saveModel(old, folder))
      const before = bytesOf(folder)
      // A handle without elements behind it fails only when it is read, in the middle of the file.
      const fake = { id: -1, shape: [3], dtype: 'float32' as const, size: 3, isDisposed: false }
      const issues = await issuesOf(saveModel({ ...net([5, 6, 7, 8]), late: param('vector', 'zzz', fake) }, folder))
      expect(issues.length).toBe(1)
      expect(bytesOf(folder)).toEqual(before)
      expect(same(hold(await orThrow(loadModel(folder, old))), old)).toBe(true)
    }))

  test('a save cut off between its two renames leaves the old model readable', () =>
    inFolder(async (folder, hold) => {
      const [old, next] = [hold(net([1, 2, 3, 4])), hold(net([5, 6, 7, 8]))]
      const [here, there] = [join(folder, 'here'), join(folder, 'there')]
      await orThrow(saveModel(old, here))
      await orThrow(saveModel(next, there))
      copyFileSync(join(here, 'model.safetensors'), join(here, 'model.safetensors.previous'))
      copyFileSync(join(there, 'model.safetensors'), join(here, 'model.safetensors'))
      expect(same(hold(await orThrow(loadModel(here))), old)).toBe(true)
      rmSync(join(here, 'model.safetensors.previous'))
      expect((await issuesOf(loadModel(here)))[0]?._tag).toBe('Damaged')
      await orThrow(saveModel(next, here))
      expect(same(hold(await orThrow(loadModel(here))), next)).toBe(true)
      expect(readdirSync(here)).toEqual(['model.json', 'model.safetensors'])
    }))

  test('a file that stands where the folder should be is an error', () =>
    inFolder(async (folder, hold) => {
      writeFileSync(join(folder, 'taken'), '')
      expect((await issuesOf(saveModel(hold(net([1, 2])), join(folder, 'taken'))))[0]?._tag).toBe('FileSystem')
    }))
})

describe('loading', () => {
  test('lists every difference to what was expected', () =>
    inFolder(async (folder, hold) => {
      await orThrow(saveModel(hold(net([1, 2, 3, 4])), folder))
      const like = hold({
        ...net([1, 2, 3, 4, 5, 6]),
        heads: 4,
        _tag: 'Nest',
        head: param('vector', 'head', zeros([1])),
      })
      expect(await told(loadModel(folder, like))).toEqual([
        'DataMismatch at _tag: "Nest" / "Net"',
        'ShapeMismatch at fc1.weight: trainable matrix float32 [3, 2] labelled "fc1.weight" / trainable matrix float32 [2, 2] labelled "fc1.weight"',
        'DataMismatch at heads: 4 / 2',
        'MissingTensor at head: trainable vector float32 [1] labelled "head" / nothing',
      ])
    }))

  test('checks against shapes alone, and against tensors that are freed', () =>
    inFolder(async (folder, hold) => {
      const model = { w: param('vector', 'w', tensor([1, 2])) }
      await orThrow(saveModel(hold(model), folder))
      const spec = { w: { ...model.w, value: { shape: [2], dtype: 'float32' as const } } }
      expect(same(hold(await orThrow(loadModel(folder, spec))), model)).toBe(true)
    }))

  test('says which loader a folder wants, and which version', () =>
    inFolder(async (folder, hold) => {
      await orThrow(saveRun(hold({ model: net([1, 2]), count: 0 }), folder))
      copyFileSync(join(folder, 'run.json'), join(folder, 'model.json'))
      const [issue] = await issuesOf(loadModel(folder))
      expect([issue?._tag, issue?.hint]).toEqual(['WrongFormat', 'Use loadRun for this one.'])
      const json = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')) as object
      writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...json, version: 2 }))
      expect((await issuesOf(loadRun(folder)))[0]?._tag).toBe('WrongVersion')
    }))

  test('errors of the JSON have a path, what was expected and what was found', () =>
    inFolder(async (folder, hold) => {
      await orThrow(saveModel(hold(net([1, 2])), folder))
      const json = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')) as { tree: { fc1: object } }
      const weight = {
        _tag: 'Param',
        label: 7,
        status: 'trained',
        form: 'matrix',
        shape: [1, -2],
        dtype: 'float32',
        rank: 2,
      }
      const changed = {
        ...json,
        tree: { ...json.tree, fc1: { ...json.tree.fc1, weight }, more: { _tag: '~what' } },
        note: 1,
      }
      writeFileSync(join(folder, 'model.json'), JSON.stringify(changed))
      const at = `${folder}/model.json#`
      expect(await told(loadModel(folder))).toEqual([
        `BadJson at ${at}note: no field of this name / 1`,
        `BadJson at ${at}tree.fc1.weight.rank: no field of this name / 2`,
        `BadJson at ${at}tree.fc1.weight.shape.1: a whole number >= 0 / -2`,
        `BadJson at ${at}tree.fc1.weight.label: string / 7`,
        `BadJson at ${at}tree.fc1.weight.status: "trainable" or "frozen" / "trained"`,
        `BadJson at ${at}tree.more: a tree / a ~what`,
      ])
    }))

  test('a number changed by hand is noticed, another layout is not damage', () =>
    inFolder(async (folder, hold) => {
      const given = hold(net([1, 2]))
      await orThrow(saveModel(given, folder))
      const path = join(folder, 'model.json')
      const text = readFileSync(path, 'utf8')
      writeFileSync(path, text.replace('"heads": 2', '"heads": 3'))
      expect((await issuesOf(loadModel(folder))).map((i) => i._tag)).toEqual(['Damaged'])
      writeFileSync(path, JSON.stringify(JSON.parse(text)))
      expect(same(hold(await orThrow(loadModel(folder))), given)).toBe(true)
    }))

  test('orThrow throws the same issues', () =>
    inFolder(async (folder) => {
      const error: unknown = await orThrow(loadModel(join(folder, 'none'))).catch((e: unknown) => e)
      expect(error).toBeInstanceOf(EspalierError)
      expect((error as EspalierError).issues).toEqual(await issuesOf(loadModel(join(folder, 'none'))))
    }))

  test('a failure frees what it had made', () =>
    inFolder(async (folder, hold) => {
      const model = hold({ a: param('vector', 'a', zeros([2])), b: param('vector', 'b', zeros([2], 'bool')) })
      await orThrow(saveModel(model, folder))
      const before = memory().tensors
      const file = join(folder, 'model.safetensors')
      const bytes = readFileSync(file)
      bytes[bytes.length - 1] = 7
      writeFileSync(file, bytes)
      expect((await issuesOf(loadModel(folder))).length).toBe(1)
      expect(memory().tensors).toBe(before)
    }))
})

describe('a run', () => {
  const run = () => {
    const model = net([1, 2, 3, 4])
    return {
      model,
      // The best state so far has the labels of the model, and its frozen leaves.
      best: { ...model, fc1: { ...model.fc1, weight: { ...model.fc1.weight, value: tensor([9, 9, 9, 9], [2, 2]) } } },
      state: { mean: { 'fc1.weight': zeros([2, 2]) }, step: scalar(3, 'int32'), seen: model.fc1.weight.value },
      count: 12,
      loss: Infinity,
      key: { _tag: 'Key', hi: 0, lo: 7 },
    }
  }

  test('comes back with what it shares shared', () =>
    inFolder(async (folder, hold) => {
      const given = hold(run())
      await orThrow(saveRun(given, folder))
      const again = hold(await orThrow(loadRun(folder, given)))
      expect(same(again, given)).toBe(true)
      expect(again.best.rope).toBe(again.model.rope)
      expect(again.state.seen).toBe(again.model.fc1.weight.value)
      expect(read(again.best.fc1.weight.value)).toEqual(new Float32Array([9, 9, 9, 9]))
      const { tensors } = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')) as { tensors: { bytes: number } }
      expect(tensors.bytes).toBeGreaterThan(0)
    }))

  test('is checked for its structure, not for where it stands', () =>
    inFolder(async (folder, hold) => {
      const given = hold(run())
      await orThrow(saveRun(given, folder))
      const fresh = {
        ...given,
        best: null,
        count: 0,
        loss: Number.NaN,
        state: { ...given.state, momentum: given.state.mean },
      }
      expect(await told(loadRun(folder, fresh))).toEqual([
        'MissingTensor at state.momentum.fc1.weight: float32 [2, 2] / nothing',
      ])
      expect(await told(loadRun(folder, { ...given, model: { ...given.model, heads: 3 } }))).toEqual([
        'DataMismatch at model.heads: 3 / 2',
      ])
    }))
})

test('names of objects are names', () =>
  inFolder(async (folder, hold) => {
    const hostile = JSON.parse('{ "__proto__": { "polluted": true }, "constructor": 1, "toString": [] }') as object
    const model = { ...hostile, w: hold(param('vector', '__proto__', zeros([1]))) }
    await orThrow(saveModel(model, folder))
    const again = hold(await orThrow(loadModel(folder, model)))
    expect(Object.keys(again)).toEqual(['__proto__', 'constructor', 'toString', 'w'])
    expect(Object.getPrototypeOf(again)).toBe(Object.prototype)
    expect(({} as { polluted?: boolean }).polluted).toBe(undefined)
    mkdirSync(join(folder, 'empty'))
    expect(existsSync(join(folder, 'empty', 'model.json'))).toBe(false)
  }))
