import { mixed, sllm, trainableOf, valueAndGrad } from '../../../src/index.ts'
import type { Tensor } from '../../../src/index.ts'
import { all, every, inputOf, numeric, outputOf, verdict } from '../../../src/laws/index.ts'
import type { ModelInput, Trial } from '../../../src/laws/index.ts'
import { salted } from '../../../src/laws/models.ts'
import { difference, drawn } from '../../../src/laws/values.ts'
import { gather, mul, sum, tensor, words } from '../../../src/ops/index.ts'
import { additives } from './puts.ts'
import { drawnAdapter } from './subjects.ts'
import type { Hands, Laws } from './subjects.ts'

const rowCount = (input: ModelInput): number => ('ids' in input ? input.ids : input).shape[0]!

const rowsFrom = (input: ModelInput, rows: Tensor): ModelInput =>
  'ids' in input
    ? { ids: gather(input.ids, rows), mask: input.mask === undefined ? undefined : gather(input.mask, rows) }
    : gather(input, rows)

const doubled = (input: ModelInput): ModelInput => {
  const rows = rowCount(input)
  return rowsFrom(
    input,
    tensor(
      Int32Array.from({ length: 2 * rows }, (_, i) => i % rows),
      [2 * rows],
      'int32',
    ),
  )
}

/** Batches in which each row has its own adapter. */
export const mixingLaws = (hands: Hands) => {
  /** Rows that alternate among models of one output length. */
  const batch = (trial: Trial) => {
    const { base, adapter: fr } = drawnAdapter(trial, 'fr', additives)
    const { adapter: de } = drawnAdapter(trial, 'de', additives)
    const models = { none: base, ...hands.wearEach(base, { fr, de }) } as Readonly<Record<string, unknown>>
    const whole: unknown = hands.byRow({ fr, de })(base)
    const one = inputOf(trial)
    const input = [1, 2].reduce<ModelInput>((x) => doubled(x), one)
    const rows = rowCount(input)
    const keys = words(salted(trial, 'names'), rows)
    const names = Array.from({ length: rows }, (_, i) => ['none', 'fr', 'de'][(keys[i]! + i) % 3]!)
    return { models, whole, input, names, rows: names.map((name) => (name === 'none' ? null : name)) }
  }
  const applyOf = (trial: Trial) => (model: unknown, input: ModelInput) => outputOf(trial, model, input)

  const mixedRowIsItsOwn = numeric({
    name: 'mixedRowIsItsOwn',
    says: 'Each row of a mixed batch is what its own adapter alone gives it.',
    equality: 'tolerance',
    check: (trial) => {
      const { models, input, names } = batch(trial)
      const mixture = hands.mixed(applyOf(trial))(models, names, input)
      const alone = new Map(Object.entries(models).map(([name, model]) => [name, outputOf(trial, model, input)]))
      return every([...names.entries()], ([i, name]) => {
        const [want, got] = [alone.get(name)!, mixture].map((t) => gather(t, tensor([i], [1], 'int32')))
        const found = difference(want!, got!, 1e-5)
        return verdict(found === undefined, `row ${i}, of ${name}, ${found}`)
      })
    },
  })

  const byRowIsMixed = numeric({
    name: 'byRowIsMixed',
    says: 'With the change of each row beside one base, outputs and gradients are those of a run for each name.',
    equality: 'tolerance',
    check: (trial) => {
      const { models, whole, input, names, rows } = batch(trial)
      const byRow = (model: unknown): Tensor => sllm.apply(model as never, input, { kinds: trial.kinds, rows })
      const apart = (m: typeof models): Tensor => mixed(applyOf(trial))(m, names, input)
      const found = difference(apart(models), byRow(whole), 1e-5)
      const weigh = (y: Tensor): Tensor => sum(mul(y, drawn(salted(trial, 'loss'), y.shape, 'float')))
      const zero = { unreached: 'zero' } as const
      const want = valueAndGrad<typeof models, null>((m) => weigh(apart(m)), zero)(models as never, null).grads
      const got = valueAndGrad<unknown, null>((m) => weigh(byRow(m)), zero)(whole as never, null).grads
      return all(
        () => verdict(found === undefined, `outputs ${found}`),
        () => verdict(Object.keys(want).toSorted().join() === Object.keys(got).toSorted().join(), 'other labels'),
        () =>
          every(Object.keys(want), (label) => {
            const differ = difference(want[label]!, got[label]!, 1e-4)
            return verdict(differ === undefined, `the gradient of ${label} ${differ}`)
          }),
      )
    },
  })

  const gradientsFromOwnRows = numeric({
    name: 'gradientsFromOwnRows',
    says: 'In a mixed batch the gradient of an adapter is that of its own rows alone.',
    equality: 'tolerance',
    check: (trial) => {
      const { models, input, names } = batch(trial)
      const loss = (y: Tensor, rows: readonly number[]): Tensor => {
        const coefficients = drawn(salted(trial, 'loss'), [names.length, ...y.shape.slice(1)], 'float')
        return sum(mul(y, gather(coefficients, tensor(Int32Array.from(rows), [rows.length], 'int32'))))
      }
      const rowsOf = (name?: string): readonly number[] =>
        names.flatMap((n, i) => (name === undefined || n === name ? [i] : []))
      const grad = (f: (m: Readonly<Record<string, unknown>>) => Tensor) =>
        valueAndGrad<Readonly<Record<string, unknown>>, null>(f, { unreached: 'zero' })(models as never, null).grads
      const together = grad((m) => loss(hands.mixed(applyOf(trial))(m, names, input), rowsOf()))
      return every(['fr', 'de'], (name) => {
        const rows = rowsOf(name)
        const ids = tensor(Int32Array.from(rows), [rows.length], 'int32')
        const own: Readonly<Record<string, Tensor>> =
          rows.length === 0 ? {} : grad((m) => loss(outputOf(trial, m[name], rowsFrom(input, ids)), rows))
        return every(Object.keys(trainableOf(models[name])), (label) => {
          const got = together[label]!
          const found = difference(own[label] ?? mul(got, 0), got, 1e-4)
          return verdict(found === undefined, `the gradient of ${label} ${found}`)
        })
      })
    },
  })

  return { mixedRowIsItsOwn, byRowIsMixed, gradientsFromOwnRows } satisfies Laws
}
