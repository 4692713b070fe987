import { LstmKind, bake, places, prefix, ptuning, replaceAt, sllm, withValue } from '../../src/index.ts'
import type { Kind, Linear, Lstm, Param, Tensor } from '../../src/index.ts'
import { mergeIs, mergePreservesOutputs, prompting, survivesSaveLoad } from '../../src/laws/index.ts'
import { add, concat, matmul, relu, slice, tanh } from '../../src/ops/index.ts'
import { encoders } from '../laws/methods/prompts.ts'
import { onSllm } from './broken.ts'
import type { Fault, Writable } from './broken.ts'

/** Turned back too little: what the reverse direction says of the last row stands at the first. */
const reversedStates: Kind<Lstm, 'layer'> = {
  ...LstmKind,
  ops: {
    layer: (n, x, ctx) => {
      const y = LstmKind.ops.layer(n, x, ctx)
      const [batch = 0, length = 0, width = 0] = y.shape
      const back = Array.from({ length }, (_, t) => slice(y, [0, length - 1 - t, width / 2], [batch, 1, width / 2]))
      return concat([slice(y, [0, 0, 0], [batch, length, width / 2]), concat(back, 1)], 2)
    },
  },
}

/** The gates in another order: input, cell, forget, output. */
const otherGates: Kind<Lstm, 'layer'> = {
  ...LstmKind,
  ops: {
    layer: (n, x, ctx) => {
      const turned = (p: Param): never => {
        const value = p.value
        const [h, last] = [(value.shape.at(-1) ?? 0) / 4, value.shape.length - 1]
        const part = (i: number): Tensor =>
          slice(
            value,
            value.shape.map((_, axis) => (axis === last ? i * h : 0)),
            value.shape.map((size, axis) => (axis === last ? h : size)),
          )
        return withValue(p, concat([part(0), part(2), part(1), part(3)], last)) as never
      }
      const other = Object.fromEntries(
        Object.entries(n).map(([name, leaf]) => [name, typeof leaf === 'string' ? leaf : turned(leaf as Param)]),
      )
      return LstmKind.ops.layer(other as never, x, ctx)
    },
  },
}

interface Encoder {
  readonly base: Param
  readonly fc1: Linear<Param, Param>
  readonly fc2: Linear<Param, Param>
  readonly fc3?: Linear<Param, Param>
}

/** A bake that makes of an encoder's table what it is told. */
const bakeBy =
  (f: (encoder: Encoder) => Tensor) =>
  (model: unknown): unknown =>
    replaceAt(
      model,
      [...places(model)]
        .filter((p) => ['PromptMlp', 'PrefixMlp'].includes((p.node as Writable)?._tag))
        .map((p) => ({ route: p.route, value: withValue((p.node as Encoder).base, f(p.node as Encoder)) })),
    )

const affine = (x: Tensor, n: Linear<Param, Param>): Tensor => add(matmul(x, n.weight.value), n.bias.value)

const rightBake = bakeBy(({ base, fc1, fc2, fc3 }) =>
  fc3 === undefined
    ? affine(tanh(affine(base.value, fc1)), fc2)
    : affine(relu(affine(relu(affine(base.value, fc1)), fc2)), fc3),
)
const withoutBias = bakeBy(({ base, fc1, fc2 }) => matmul(tanh(affine(base.value, fc1)), fc2.weight.value))
const withoutActivation = bakeBy(({ base, fc1, fc2, fc3 }) => affine(affine(relu(affine(base.value, fc1)), fc2), fc3!))

const projected = prefix({ length: 2, projection: 3 })
const encoded = ptuning({ at: '**', length: 2, hidden: 3 })
const recurrent = ptuning({ at: '**', length: 3, hidden: 2, encoder: 'lstm', layers: 1 })

const merged = { on: sllm, options: { declare: { ...prompting(0), merge: 'exact' } } } as const

export const encoderFaults: readonly Fault[] = [
  {
    name: 'saving keeps the rows and loses the encoder',
    source:
      'PEFT: P-tuning and prefix projection save the encoder’s output, so that training cannot go on (issues 1247, 2043)',
    law: survivesSaveLoad,
    ...onSllm,
    broken: { transform: encoded, using: { throughFile: (model) => bake(model) } },
    twin: { transform: encoded },
  },
  {
    name: 'bake forgets the bias of the last layer',
    source: 'a merge of linear layers that multiplies weights only',
    law: mergePreservesOutputs,
    ...merged,
    broken: { transform: projected, using: { merge: withoutBias } },
    twin: { transform: projected, using: { merge: rightBake } },
  },
  {
    name: 'bake forgets an activation',
    source: 'an encoder folded into one matrix, as only linear layers can be',
    law: mergeIs(encoders, 2e-6),
    ...merged,
    broken: { transform: encoded, using: { merge: withoutActivation } },
    twin: { transform: encoded, using: { merge: rightBake } },
  },
  {
    name: 'the reverse direction of an LSTM is not turned back',
    source: 'bidirectional layers made of two one-way ones: outputs joined in the order they were computed',
    law: mergeIs(encoders, 2e-6),
    ...merged,
    broken: { transform: recurrent, kinds: { Lstm: reversedStates } },
    twin: { transform: recurrent },
  },
  {
    name: 'the gates of an LSTM are in another library’s order',
    source: 'TensorFlow 1 has input, cell, forget, output; PyTorch input, forget, cell, output',
    law: mergeIs(encoders, 2e-6),
    ...merged,
    broken: { transform: recurrent, kinds: { Lstm: otherGates } },
    twin: { transform: recurrent },
  },
]
