import type { Tokens } from '../../kind/index.ts'
import { sllm } from '../../model/sllm.ts'
import { adopt, item, read } from '../../ops/index.ts'
import { words } from '../../tree/key.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { fails, holds, vacuous, verdict } from '../law.ts'
import { salted } from '../models.ts'
import type { ModelInput } from '../models.ts'
import { numeric } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import { inputOf, outputOf } from '../trial.ts'
import { perturbed } from '../values.ts'

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
