import { describe, expect, test } from 'vitest'
import {
  EspalierError,
  allOnes,
  applyRecipe,
  attach,
  boft,
  combine,
  count,
  detach,
  freeze,
  get,
  hra,
  isLeaf,
  isWrapper,
  key,
  leaves,
  lora,
  mapLeaves,
  materialize,
  merge,
  oft,
  param,
  partition,
  pipe,
  places,
  prompt,
  replaceAt,
  ties,
  unfreeze,
  unsound,
  untie,
  variant,
  vector,
  weightMethod,
  withValue,
} from '../../src/index.ts'
import type { Wrapping } from '../../src/index.ts'
import { add, memory, mul, read, tensor } from '../../src/ops/index.ts'
import { Shared, Tied, tiedHead, tiedLayers, tiedTowers } from './models.ts'

const Scaled = variant('Scaled', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
})

/** A method for embedding tables, as methods of a user's own may be. */
const onTables = weightMethod<object, Wrapping<'Scaled', object, 'table'>>('onTables', {
  kind: Scaled,
  form: 'table',
  options: {},
})

type Step = (at: string | undefined) => (model: never) => unknown

const whole =
  (all: (model: never) => unknown, only: { unchecked: (o: never) => (model: never) => unknown }): Step =>
  (at) =>
    at === undefined ? all : only.unchecked({ at } as never)
const placed =
  (make: { unchecked: (o: never) => (model: never) => unknown }, options: object): Step =>
  (at = '**') =>
    make.unchecked({ at, ...options } as never)

/** Every transform there is: a method more is a line more. */
const steps: Readonly<Record<string, Step>> = {
  freeze: whole(freeze, freeze.only),
  unfreeze: whole(unfreeze, unfreeze.only),
  merge: whole(merge, merge.only),
  detach: whole(detach, detach.only),
  lora: placed(lora, { rank: 2 }),
  oft: placed(oft, { blockSize: 2 }),
  boft: placed(boft, { blockSize: 2, factors: 2 }),
  hra: placed(hra, { rank: 2 }),
  attach: placed(attach(Scaled), {}),
  weightMethod: placed(onTables, {}),
  prompt: placed(prompt, { length: 2 }),
  applyRecipe:
    (at = '**') =>
    (model) =>
      applyRecipe([{ freeze: {} }, { lora: { at, rank: 2 } }, { unfreeze: { at } }])(model),
}

const models = { tiedHead, tiedLayers, tiedTowers } as const

/** What a transform makes of a tie: keeps it, refuses it with both places and the way out, or has nothing to do there. */
const outcome = (step: (model: never) => unknown, model: object): string => {
  const live = memory().tensors
  try {
    const after = step(model as never)
    expect(unsound(after)).toEqual([])
    for (const paths of Object.values(ties(model))) {
      const now = paths.map((path) => get(after as never, path as never) as unknown)
      expect(now.every((node) => isLeaf(node) && node === now[0])).toBe(true)
    }
    return 'keeps'
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error
    expect(memory().tensors).toBe(live)
    const tags = new Set(error.issues.map((i) => i._tag))
    if (!tags.has('TiedWeight') && !tags.has('LabelClash')) return [...tags].join()
    for (const { path, found, hint } of error.issues) {
      const places_ = Object.values(ties(model)).find((at) =>
        at.some((p) => path.startsWith(p.replace(/\.weight$/, ''))),
      )
      for (const place of places_ ?? ['no place']) expect(`${path} ${found}`).toContain(place.replace(/\.weight$/, ''))
      expect(hint).toContain('untie(model')
    }
    return 'refuses'
  }
}

// The places of ties, everything, and a place that has nothing to do with them.
const cases = [
  ['tiedHead', undefined, 'words', 'head', 'mlp'],
  ['tiedLayers', undefined, 'steps.0', 'fc2', 'out'],
  ['tiedTowers', undefined, 'query', 'doc', 'out'],
] as const

const asIs = 'NotATarget'
const expected: Readonly<Record<string, readonly (readonly string[])[]>> = {
  freeze: cases.map(() => ['keeps', 'keeps', 'keeps', 'keeps']),
  unfreeze: cases.map(() => ['keeps', 'keeps', 'keeps', 'keeps']),
  // Nothing is attached yet: see below for what is.
  merge: cases.map(() => ['keeps', asIs, asIs, asIs]),
  detach: cases.map(() => ['keeps', asIs, asIs, asIs]),
  ...Object.fromEntries(
    ['lora', 'oft', 'boft', 'hra', 'attach'].map((name) => [
      name,
      [
        ['keeps', asIs, asIs, 'keeps'],
        ['refuses', 'refuses', 'refuses', 'keeps'],
        ['keeps', asIs, asIs, 'keeps'],
      ],
    ]),
  ),
  // In a recipe `lora` may name an embedding as well.
  applyRecipe: [
    ['keeps', 'refuses', 'refuses', 'keeps'],
    ['refuses', 'refuses', 'refuses', 'keeps'],
    ['keeps', 'refuses', 'refuses', 'keeps'],
  ],
  weightMethod: [
    ['refuses', 'refuses', 'refuses', asIs],
    [asIs, asIs, asIs, asIs],
    ['refuses', 'refuses', 'refuses', asIs],
  ],
  prompt: [
    ['keeps', 'keeps', asIs, asIs],
    [asIs, asIs, asIs, asIs],
    // One prompt for the queries alone is no mistake; two prompts of one name are.
    ['refuses', 'keeps', 'keeps', asIs],
  ],
}

describe.each(Object.entries(steps))('%s', (name, step) => {
  test.each(cases.map(([model, ...at], i) => [model, at, expected[name]?.[i] ?? []] as const))(
    'keeps the ties of %s, or refuses with both places and the way out',
    (model, at, wanted) => {
      expect(at.map((place) => outcome(step(place), models[model]))).toEqual(wanted)
    },
  )
})

describe('a tied head', () => {
  test('reads the table that training changes', () => {
    const tuned = pipe(tiedHead, freeze, lora({ at: 'mlp', rank: 2 }), unfreeze.only({ at: 'head' }))
    expect(tuned.words.weight).toBe(tuned.head)
    expect(count(tuned).trainable).toBe(7 * 4 + 2 * 8)
    const ids = tensor([[1, 3]], undefined, 'int32')
    const moved = mapLeaves(tuned, (leaf) =>
      leaf === tuned.head ? withValue(leaf as typeof tuned.head, add(tuned.head.value, 0.5)) : leaf,
    ) as typeof tuned
    expect(moved.words.weight).toBe(moved.head)
    expect(read(Tied.apply(moved, ids))).not.toEqual(read(Tied.apply(tuned, ids)))
  })

  test('is not wrapped by what wraps the embedding', () => {
    const prompted = prompt({ length: 2 })(tiedHead)
    expect(prompted.head).toBe(prompted.words.base.weight)
    expect(Tied.apply(prompted, tensor([[1, 3]], undefined, 'int32')).shape).toEqual([1, 4, 7])
    expect(detach(prompted).words).toBe(tiedHead.words)
  })

  test('parted by untie, it goes its own way', () => {
    const parted = untie(tiedHead, 'head')
    const tuned = onTables({ at: 'words' })(parted)
    expect(tuned.head).toBe(parted.head)
    const merged = merge.knowing({ Scaled })(tuned as never) as typeof tiedHead
    expect(unsound(merged)).toEqual([])
    expect(merged.head.label).not.toBe(merged.words.weight.label)
  })
})

describe('what is attached and tied', () => {
  const pair = { teacher: Shared.init({ d: 4, depth: 1, o: 3 }, key(0)) }
  const taught = { ...pair, student: lora({ at: 'fc1', rank: 1 })(pair.teacher) }

  test('a base that stands bare in a second place: merge refuses, names both, and frees what it made', () => {
    for (const f of [merge, merge.only.unchecked({ at: 'student' })]) {
      const live = memory().tensors
      expect(() => f(taught as never)).toThrow(
        /student\.fc1\.weight.*another leaf under the same label at teacher\.fc1\.weight|teacher\.fc1\.weight.*student\.fc1\.weight/s,
      )
      expect(() => f(taught as never)).toThrow(/untie\(model, path\)/)
      expect(memory().tensors).toBe(live)
    }
    expect(detach(taught).student.fc1.weight).toBe(taught.teacher.fc1.weight)
  })

  test('the way out that it names is one', () => {
    const merged = merge(untie(taught, 'student'))
    expect(unsound(merged)).toEqual([])
    expect(merged.teacher).toBe(taught.teacher)
    expect(ties(merged)).toEqual({})
  })

  test('one adapted layer in two places stays one layer through merge and detach', () => {
    const model = Shared.init({ d: 4, depth: 1, o: 3 }, key(3))
    const adapted = hra({ at: '**.steps', rank: 2 })(freeze(model))
    const twice = { ...adapted, steps: [adapted.steps[0]!, adapted.steps[0]!] }
    const merged = merge(twice)
    expect(unsound(merged)).toEqual([])
    expect(merged.steps[0]!.weight).toBe(merged.steps[1]!.weight)
    expect(merged.steps[0]!.weight).not.toBe(model.steps[0]!.weight)
    // A training step takes a model apart and puts it together: its nodes are new, its leaves are not.
    const trained = combine(partition(twice))
    expect(trained.steps[0]).not.toBe(trained.steps[1])
    const after = merge(trained)
    expect(after.steps[0]!.weight).toBe(after.steps[1]!.weight)
    const bare = detach(twice)
    expect(bare.steps[0]!.weight).toBe(adapted.steps[0]!.weight.base)
    expect(bare.steps[1]!.weight).toBe(adapted.steps[0]!.weight.base)
    expect(ties(freeze(twice))).toEqual(ties(twice))
  })
})

// Whatever the test above says, a weight that two places share must never be wrapped in one of them alone by us.
test('no transform wraps one place of a tie and leaves the other', () => {
  const shared = param(
    'matrix',
    'w',
    tensor([
      [1, 2],
      [3, 4],
    ]),
  )
  const model = { a: shared, b: shared }
  for (const [name, step] of Object.entries(steps)) {
    let after: unknown = model
    try {
      after = step('a')(model as never)
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error
    }
    expect(
      [...places(after)].filter((p) => isWrapper(p.node)),
      name,
    ).toEqual([])
    expect(new Set(leaves(after)).size).toBe(1)
  }
  expect(replaceAt(model, [])).toBe(model)
})
