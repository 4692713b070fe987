import { expect, test } from 'vitest'
import {
  allOnes,
  attach,
  count,
  freeze,
  key,
  leaves,
  materialize,
  param,
  pipe,
  sllm,
  targeted,
  unfreeze,
  variant,
  vector,
} from '../../src/index.ts'
import type { Selector } from '../../src/index.ts'
import { memory, zeros } from '../../src/ops/index.ts'
import { innermost, isWrappedWeight } from '../../src/tree/wrap.ts'
import { brief, data, idsOf, issuesOf, refused, tinySllm } from '../support.ts'

const base = tinySllm()
const w = param('matrix', 'w', zeros([2, 2]))

test('what is a wrapped weight, and what it wraps in the end', () => {
  const once = { _tag: 'Lora', base: w }
  expect([isWrappedWeight(w), isWrappedWeight(once), isWrappedWeight({ base: w })]).toEqual([false, true, false])
  expect(innermost({ _tag: 'Dora', base: once })).toBe(w)
  expect(isWrappedWeight({ _tag: 'Prompted', base: { _tag: 'Embedding', weight: w } })).toBe(false)
})

test('an initialiser that fails half-way leaves nothing behind', () => {
  let drawn = 0
  const Failing = variant('Failing', {
    fields: {
      shift: vector('out', (_, shape) => {
        drawn++
        if (drawn === 3) throw new RangeError('no more')
        return zeros(shape)
      }),
    },
    materialize: (weight, ctx) => materialize(weight.base, ctx),
  })
  const live = memory().tensors
  expect(() => attach(Failing)({ at: '**' })(base)).toThrow(new RangeError('no more'))
  expect(drawn).toBe(3)
  expect(memory().tensors).toBe(live)
  expect(leaves(base).every((l) => !l.value.isDisposed)).toBe(true)
})

test('each weight’s parameters are drawn by its label, under the method’s own key unless one is given', () => {
  const Noisy = variant('Noisy', {
    fields: { n: vector('out', (_, shape) => zeros(shape)), scale: vector('out', allOnes) },
    materialize: (x, ctx) => materialize(x.base, ctx),
  })
  const tuned = attach(Noisy)({ at: '**.ln_1', key: key(1) })(base)
  expect(tuned.transformer_blocks[0]!.mlp.ln_1.weight.scale.label).toBe('transformer_blocks.0.mlp.ln_1.weight.scale')
  expect(count(tuned).parameters - count(base).parameters).toBe(24)
})

test('a transform of one’s own is a step, an either and an unchecked form', () => {
  const louder = targeted<{ readonly by: number }, 'unfreeze'>((model, { at, by }: { at: Selector; by: number }) => {
    if (by < 1) throw refusal
    return unfreeze.only({ at: at })(model as never)
  })
  const nowhere: string = 'nope'
  const refusal = new RangeError('a bug')
  expect(count(pipe(freeze(base), louder({ at: 'out_head', by: 2 }))).trainable).toBe(77)
  expect(louder.either({ at: 'out_head', by: 2 })(freeze(base))._tag).toBe('Right')
  expect(louder.either({ at: nowhere, by: 2 })(freeze(base))).toMatchObject({
    _tag: 'Left',
    left: [{ _tag: 'NoMatch' }],
  })
  expect(() => louder.either({ at: 'out_head', by: 0 })(base)).toThrow(RangeError)
  expect(brief(refused(base, louder.unchecked({ at: 'nope', by: 2 }) as never))).toEqual(['NoMatch nope'])
})

test('an attached variant that its model’s context does not know is named when the model runs', () => {
  const Quiet = variant('Quiet', { fields: {}, materialize: (x, ctx) => materialize(x.base, ctx) })
  const tuned = attach(Quiet)({ at: '**.ln_1' })(base)
  expect(issuesOf(() => sllm.apply(tuned, idsOf([[1]])))[0]).toMatchObject({
    _tag: 'UnknownKind',
    found: expect.stringContaining('"Quiet"'),
  })
  expect(data(sllm.apply(tuned, idsOf([[1]]), { kinds: { Quiet } }))).toEqual(data(sllm.apply(base, idsOf([[1]]))))
})
