import { bottleneck, lora, prefix, prompt, ptuning } from '../../../src/index.ts'
import type { AnyTransform } from '../../../src/laws/index.ts'
import { key } from '../../../src/index.ts'
import { attached, onNodes, onWeight, shapeOf } from './step.ts'
import type { PlanStep } from './step.ts'
import { config, linears, nodesAt, rewritten, root } from './world.ts'

const { d_model: d, context_window: window } = config

const isWords = (path: string): boolean => path === 'embedding_block.token_embdgs'

const linear = (name: string, inputs: number, outputs: number): Readonly<Record<string, number>> => ({
  [`${name}.weight`]: inputs * outputs,
  [`${name}.bias`]: outputs,
})

/** Both directions of an LSTM layer: four gates each. */
const lstm = (name: string, inputs: number, h: number): Readonly<Record<string, number>> =>
  Object.fromEntries(
    ['', '_reverse'].flatMap((end) => [
      [`${name}.weight_ih${end}`, 4 * h * inputs],
      [`${name}.weight_hh${end}`, 4 * h * h],
      [`${name}.bias_ih${end}`, 4 * h],
      [`${name}.bias_hh${end}`, 4 * h],
    ]),
  )

interface Encoded {
  readonly length: number
  readonly encoder?: string
}

const hidden = 3

const encoders: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  mlp: {
    ...linear('prompt.fc1', d, hidden),
    ...linear('prompt.fc2', hidden, hidden),
    ...linear('prompt.fc3', hidden, d),
  },
  lstm: {
    ...lstm('prompt.first', d, hidden),
    ...lstm('prompt.rest.0', 2 * hidden, hidden),
    ...linear('prompt.fc1', 2 * hidden, 2 * hidden),
    ...linear('prompt.fc2', 2 * hidden, d),
  },
}

interface Prefixes {
  readonly length: number
  readonly projection?: number
  readonly init?: string
}

// Keys and values of both layers.
const wide = 2 * config.n_layers * config.n_heads * config.d_head

const prefixAdds = ({ length, projection }: Prefixes): Readonly<Record<string, number>> =>
  projection === undefined
    ? { prefix: length * wide }
    : { prefix: length * d, ...linear('prefix.fc1', d, projection), ...linear('prefix.fc2', projection, wide) }

interface Placed {
  readonly placement: string
  readonly reduction: number
  readonly scaling?: unknown
}

const sublayers: Readonly<Record<string, readonly string[]>> = {
  houlsby: ['mha', 'mlp'],
  pfeiffer: ['mlp'],
  parallel: ['mlp'],
}

/** d·b + b + b·d + d, and one more for a factor that is learned. */
const bottleneckAdds = ({ reduction, scaling }: Placed): Readonly<Record<string, number>> => {
  const b = Math.max(1, Math.floor(d / reduction))
  return {
    ...linear('adapter.down', d, b),
    ...linear('adapter.up', b, d),
    ...(scaling === 'learned' && { 'adapter.scale': 1 }),
  }
}

/** A LoRA whose B has a bias: the weights of linear layers are wrapped, and the layers themselves. */
const loraBias: PlanStep = {
  options: { rank: [1, 3], alpha: [1, 0.5] },
  where: 'at',
  really: (at = '**', given, seed) =>
    lora.unchecked({ at, ...given, bias: true, key: key(seed) } as never) as AnyTransform,
  naively: (world, at, { rank }) => {
    const taken = nodesAt(world, at).filter((path) => linears.includes(path))
    const weightOf = (path: string) => world.parameters.get(`${path}.weight`)!
    const free = (path: string): boolean => world.nodes.get(path) === undefined && !weightOf(path).adapter
    if (taken.length === 0 || !taken.every(free)) return undefined
    return rewritten(
      world,
      (s, path) =>
        taken.some((node) => path === `${node}.weight`)
          ? { ...s, adapter: onWeight('Lora', Number(rank) * (shapeOf(s)[0] + shapeOf(s)[1])) }
          : s,
      (a, path) => (taken.includes(path) ? attached('Shifted', { shift: shapeOf(weightOf(path))[1] }) : a),
    )
  },
  keepsOutputs: true,
  merges: 'Lora',
}

const onWords = ['**', '**.token_embdgs', 'embedding_block', '**.weight']

/** Every method that wraps nodes. */
export const nodeSteps: Readonly<Record<string, PlanStep>> = {
  loraBias,
  bottleneck: onNodes<Placed>({
    tag: 'Adapted',
    make: bottleneck.unchecked,
    options: {
      placement: ['houlsby', 'pfeiffer', 'parallel'],
      reduction: [2, 16],
      scaling: [undefined, 'learned', 0.5],
    },
    takes: (path, { placement }) =>
      sublayers[placement]!.includes(path.split('.')[2] ?? '') && path.split('.').length === 3,
    adds: bottleneckAdds,
    recipe: 'bottleneck',
    keepsOutputs: true,
  }),
  prompt: onNodes<{ readonly length: number }>({
    tag: 'Prompted',
    make: prompt.unchecked,
    options: { length: [1, 2, window], init: ['random', 'vocabulary'] },
    takes: isWords,
    adds: ({ length }) => ({ prompt: d * length }),
    fits: ({ length }) => length < window,
    recipe: 'prompt',
    patterns: onWords,
  }),
  ptuning: onNodes<Encoded>({
    tag: 'Prompted',
    make: ptuning.unchecked,
    options: { length: [1, 2], encoder: [undefined, 'lstm'], hidden: [hidden] },
    takes: isWords,
    adds: ({ length, encoder = 'mlp' }) => ({ prompt: d * length, ...encoders[encoder] }),
    recipe: 'ptuning',
    patterns: onWords,
  }),
  prefix: onNodes<Prefixes>({
    tag: 'Prefixed',
    make: prefix,
    options: { length: [1, 2, window], projection: [undefined, 3], init: [undefined, undefined, 'zeros'] },
    takes: (path) => path === root,
    adds: prefixAdds,
    fits: ({ length, projection, init }) => length < window && (projection === undefined || init !== 'zeros'),
    recipe: 'prefix',
    where: 'whole',
  }),
}
