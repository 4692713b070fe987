import { embed, layer } from '../../kind/index.ts'
import type { Kind, Kinds, Tokens } from '../../kind/index.ts'
import { sllm } from '../../model/sllm.ts'
import { AttentionKind } from '../../nn/index.ts'
import type { Attention } from '../../nn/index.ts'
import { adopt, concat, item, ones, read, slice, squeeze } from '../../ops/index.ts'
import { words } from '../../tree/key.ts'
import { isParam, param } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { places, replaceAt } from '../../tree/walk.ts'
import { innermost } from '../../tree/wrap.ts'
import { fails, holds, vacuous, verdict } from '../law.ts'
import { salted } from '../models.ts'
import type { ModelInput } from '../models.ts'
import { numeric } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import { contextOf, genericLoss, inputOf, outputOf } from '../trial.ts'
import type { Trial } from '../trial.ts'
import { addedLeaves, difference, perturbed } from '../values.ts'
import { TOLERANCE } from './outputs.ts'

const isTokens = (input: ModelInput): input is Tokens => 'ids' in input

/** A prompt of n rows gives n rows more, along the sequence axis and no other. */
export const addsRows: TransformLaw = numeric({
  name: 'addsRows',
  says: 'Outputs have n + T rows: n more along the sequence, and no other axis changes.',
  equality: 'exact',
  applies: ({ rows }) => rows !== undefined,
  check: (trial) => {
    const [batch = 0, length = 0, ...rest] = outputOf(trial, trial.model).shape
    const want = [batch, length + (trial.declared.rows ?? 0), ...rest].join(', ')
    const found = outputOf(trial, trial.transform(trial.model)).shape.join(', ')
    return verdict(found === want, `outputs are [${found}] instead of [${want}]`)
  },
})

/** In a causal model, the rows of a prompt come before the tokens and so do not see them: other tokens change no bit there. */
export const promptComesFirst: TransformLaw = numeric({
  name: 'promptComesFirst',
  says: 'The first n rows of a causal model are those of the prompt: other tokens change no bit of them.',
  equality: 'bitwise',
  applies: ({ rows }) => rows !== undefined,
  check: (trial) => {
    const n = trial.declared.rows ?? 0
    const model = perturbed(trial.transform(trial.model), salted(trial, 'tuned'), trial)
    const [one, other] = [inputOf(trial, 'one'), inputOf(trial, 'other')]
    if (!isTokens(one) || !isTokens(other)) return vacuous('this model takes no tokens')
    const [a, b] = [one, other].map(({ ids }) => outputOf(trial, model, { ids }))
    const [, rows = 1, width = 1] = a!.shape
    const [x, y] = [read(a!), read(b!)]
    const at = x.findIndex((v, i) => Math.floor(i / width) % rows < n && v !== y[i])
    return verdict(at < 0, `row ${Math.floor(at / width) % rows}, of the prompt, changed from ${x[at]} to ${y[at]}`)
  },
})

/** The same tokens with another one in the place that the mask hides, and which rows are visible. */
const hidden = (tokens: Tokens, key: Parameters<typeof words>[0]): readonly [Tokens, Tokens] => {
  const [batch = 1, length = 1] = tokens.ids.shape
  const mask = adopt(
    Float32Array.from({ length: batch * length }, (_, i) => (i % length === 0 ? 0 : 1)),
    [batch, length],
  )
  const ids = read(tokens.ids)
  // Any id that occurs is one of the vocabulary, so the other ids of the batch serve as what is hidden.
  const others = words(key, batch)
  const changed = Int32Array.from(ids, (id, i) =>
    i % length === 0 ? (ids[(others[i / length] ?? 0) % ids.length] ?? id) : id,
  )
  return [
    { ids: tokens.ids, mask },
    { ids: adopt(changed, [batch, length]), mask },
  ]
}

/** Which token stands where the mask hides it changes no bit of any visible row. */
export const hiddenRowsChangeNothing: TransformLaw = numeric({
  name: 'hiddenRowsChangeNothing',
  says: 'A token that the mask hides changes no bit of the rows that are visible.',
  equality: 'bitwise',
  applies: ({ rows }) => rows !== undefined,
  check: (trial) => {
    const model = perturbed(trial.transform(trial.model), salted(trial, 'tuned'), trial)
    const input = inputOf(trial)
    if (!isTokens(input)) return vacuous('this model takes no tokens')
    const [one, other] = hidden(input, salted(trial, 'hidden'))
    const [a, b] = [outputOf(trial, model, one), outputOf(trial, model, other)]
    const [, rows = 1, width = 1] = a.shape
    const first = rows - (input.ids.shape[1] ?? 0)
    const [x, y] = [read(a), read(b)]
    const at = x.findIndex((v, i) => Math.floor(i / width) % rows !== first && v !== y[i])
    return verdict(at < 0, `row ${Math.floor(at / width) % rows} of ${rows} changed from ${x[at]} to ${y[at]}`)
  },
})

/** A loss of a model on tokens with labels, such as `sllm.loss`. */
export type TokenLoss = (model: never, batch: Tokens & { readonly labels: Tensor }) => Tensor

/** Mean cross-entropy in plain numbers: the token in row r is predicted from row r − 1, rows before the real tokens count not. */
const plainLoss = (logits: Tensor, labels: Tensor): number => {
  const [batch = 0, rows = 0, vocab = 0] = logits.shape
  const length = labels.shape[1] ?? 0
  const [z, want] = [read(logits), read(labels)]
  const terms: number[] = []
  for (let b = 0; b < batch; b += 1)
    for (let t = 0; t < length; t += 1) {
      const [label, from] = [want[b * length + t] ?? -100, rows - length + t - 1]
      if (label < 0 || from < 0) continue
      const row = Array.from(z.subarray((b * rows + from) * vocab, (b * rows + from + 1) * vocab))
      const top = Math.max(...row)
      terms.push(top + Math.log(row.reduce((n, v) => n + Math.exp(v - top), 0)) - (row[label] ?? Number.NaN))
    }
  return terms.reduce((n, v) => n + v, 0) / terms.length
}

/**
 * The law that a loss counts real tokens only, each predicted from the row before it: labels −100 on the prompt's rows.
 *
 * @example
 * ```ts
 * import { prompt, sllm } from 'espalier'
 * import { check, lossCountsRealTokens, prompting } from 'espalier/laws'
 * const laws = [lossCountsRealTokens(sllm.loss)]
 * check(prompt({ length: 2 }), { on: sllm, declare: prompting(2), laws, runs: 5 }).passed // => true
 * ```
 */
export const lossCountsRealTokens = (loss: TokenLoss = sllm.loss): TransformLaw =>
  numeric({
    name: 'lossCountsRealTokens',
    says: 'The loss is the mean over real tokens, each predicted from the row before; prompt rows have no label.',
    equality: 'tolerance',
    applies: ({ rows }) => rows !== undefined,
    check: (trial) => {
      const model = perturbed(trial.transform(trial.model), salted(trial, 'tuned'), trial)
      const input = inputOf(trial)
      if (!isTokens(input)) return vacuous('this model takes no tokens')
      // The last label of each row is left out, as padding is.
      const length = input.ids.shape[1] ?? 1
      const labels = adopt(
        Int32Array.from(read(input.ids), (id, i) => (i % length === length - 1 && length > 2 ? -100 : id)),
        input.ids.shape,
      )
      const want = plainLoss(outputOf(trial, model, input), labels)
      const found = item(loss(model as never, { ...input, labels }))
      const close = Math.abs(found - want) <= 1e-4 * Math.max(1, Math.abs(want))
      return close ? holds : fails(`the loss is ${found} instead of ${want}`)
    },
  })

/** What each attention layer of a model makes of tokens: its keys and values, [batch, tokens, heads·d_head], as plain numbers. */
const keysAndValues = (
  model: unknown,
  ids: Tensor,
  kinds: Kinds,
): readonly (readonly [Float32Array, Float32Array])[] => {
  const seen: (readonly [Float32Array, Float32Array])[] = []
  const Attention: Kind<Attention, 'layer'> = {
    ...AttentionKind,
    ops: {
      layer: (n, x, ctx) => {
        const [k, v] = [read(layer(n.Wk, x, ctx)), read(layer(n.Wv, x, ctx))]
        seen.push([Float32Array.from(k), Float32Array.from(v)])
        return AttentionKind.ops.layer(n, x, ctx)
      },
    },
  }
  sllm.hidden(model as never, { ids }, { kinds: { ...kinds, Attention } })
  return seen
}

/** Keys and values in the layout of a prefix: a row for each token, in it for each layer first the keys, then the values. */
const asPrefix = (layers: readonly (readonly [Float32Array, Float32Array])[], n: number): Tensor => {
  const rows = Array.from({ length: n }, (_, t) =>
    layers.flatMap((pair) => pair.flatMap((x) => [...x.subarray((t * x.length) / n, ((t + 1) * x.length) / n)])),
  )
  return adopt(Float32Array.from(rows.flat()), [n, rows[0]?.length ?? 0])
}

interface Front {
  readonly _tag: 'Prompted' | 'Prefixed'
  readonly base: unknown
  readonly prompt?: unknown
  readonly prefix?: unknown
}

const isFront = (node: unknown): node is Front => ['Prompted', 'Prefixed'].includes((node as Front | null)?._tag ?? '')

const lengthOf = (rows: unknown): number => (innermost(rows) as Param).value.shape[0] ?? 0

/** The tuned model with rows that are those of tokens. */
const ofTokens = (trial: Trial, tuned: unknown, front: readonly number[]): unknown => {
  const place = [...places(tuned)].find((p) => isFront(p.node))
  const node = place?.node as Front
  const n = front.length
  const ids = adopt(Int32Array.from(front), [1, n])
  const rows =
    node._tag === 'Prefixed'
      ? asPrefix(keysAndValues(trial.model, ids, trial.kinds), n)
      : squeeze(embed(node.base as never, { ids }, contextOf(trial)).hidden, 0)
  return replaceAt(tuned, [
    {
      route: [...(place?.route ?? []), node._tag === 'Prompted' ? 'prompt' : 'prefix'],
      value: param('table', 'rows', rows),
    },
  ])
}

/** A soft prompt of the rows of tokens, or a prefix of their keys and values, computes what these tokens before the text compute. */
export const standsForTokens: TransformLaw = numeric({
  name: 'standsForTokens',
  says: 'Given the rows, or the keys and values, of real tokens, it computes what these tokens before the text compute.',
  equality: 'tolerance',
  applies: () => false,
  check: (trial) => {
    const tuned = trial.transform(trial.model)
    const node = [...places(tuned)].map((p) => p.node).find(isFront)
    const [input, other] = [inputOf(trial), inputOf(trial, 'front')]
    if (node === undefined || !isTokens(input) || !isTokens(other)) return vacuous('there is no prompt and no prefix')
    const known = [...read(other.ids)]
    const front = Array.from({ length: lengthOf(node.prompt ?? node.prefix) }, (_, i) => known[i % known.length] ?? 0)
    const [batch = 1, length = 1] = input.ids.shape
    const before = adopt(Int32Array.from(Array.from({ length: batch }, () => front).flat()), [batch, front.length])
    const written = {
      ids: concat([before, input.ids], 1),
      ...(input.mask && { mask: concat([ones([batch, front.length]), input.mask], 1) }),
    }
    const [want, found] = [
      outputOf(trial, trial.model, written),
      outputOf(trial, ofTokens(trial, tuned, front), input),
    ].map((y) => slice(y, [0, (y.shape[1] ?? 0) - length, 0], [batch, length, y.shape[2] ?? 0]))
    const differs = difference(want!, found!, TOLERANCE)
    return verdict(differs === undefined, `of the text after ${front.length} tokens, an output ${differs}`)
  },
})

// Behind two rectifiers a number is reached at one point in four.
const points = 60

/** Every number that a transform has added matters, and not only every leaf: no slot of a prefix is read by no layer. */
export const everyElementHasGradient: TransformLaw = numeric({
  name: 'everyElementHasGradient',
  says: 'At some of a few generic points, every single number that it adds has a gradient that is not zero.',
  equality: 'exact',
  applies: () => false,
  check: (trial) => {
    const made = trial.transform(trial.model)
    const added = addedLeaves(trial.model, made).filter(isParam)
    const dead = new Map(
      added.map((leaf) => [leaf.label, new Set(Array.from({ length: leaf.value.size }, (_, i) => i))]),
    )
    for (let i = 0; i < points && [...dead.values()].some((left) => left.size > 0); i += 1) {
      const model = perturbed(made, salted(trial, `point ${i}`), { style: 'float' })
      const grads = trial.tools.grad(model, genericLoss(trial, inputOf(trial, `point ${i}`)))
      for (const [label, left] of dead) read(grads[label]!).forEach((g, at) => void (g !== 0 && left.delete(at)))
    }
    const [first] = [...dead].filter(([, left]) => left.size > 0)
    return verdict(first === undefined, `no gradient at ${points} points: ${first?.[1].size} numbers of ${first?.[0]}`)
  },
})
