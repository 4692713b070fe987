import {
  adalora,
  attach,
  boft,
  dora,
  fourierft,
  hra,
  ia3,
  loftq,
  loha,
  lokr,
  lora,
  miss,
  oft,
  tokens,
  vera,
} from '../../../src/index.ts'
import type { AnyTransform } from '../../../src/laws/index.ts'
import { Scaled } from '../table.ts'
import { onWeight, onWeights } from './step.ts'
import type { PlanStep, Shape } from './step.ts'
import { namesNode, rewritten } from './world.ts'
import type { Spec } from './world.ts'

interface Ranked {
  readonly rank: number
}

/** A length as a product of two, the smaller first, as even as can be: 4 = 2·2, 6 = 2·3. */
const factors = (n: number): Shape => {
  const small = [2, 1].find((m) => n % m === 0)!
  return [small, n / small]
}

/** LoKr's w1 [in1, out1] whole, and w2 [in2, out2] whole or as two factors. */
const lokrAdds = ([i, o]: Shape, { rank }: Ranked): number => {
  const [[in1, in2], [out1, out2]] = [factors(i), factors(o)]
  return in1 * out1 + (rank < Math.max(in2, out2) / 2 ? rank * (in2 + out2) : in2 * out2)
}

const ranks = { rank: [1, 3], alpha: [1, 0.5], scaling: ['alpha', 'alpha/rank'] } as const

/** A recipe takes the tables of a pattern that names no matrix. */
const tablesWithoutMatrix = (named: readonly Spec[]): Spec['form'] =>
  named.some((s) => s.form === 'matrix') ? 'matrix' : 'table'

const words = 'embedding_block.token_embdgs'

/** Rows of the token embedding; the table of positions has no tokens. */
const tokenRows: PlanStep = {
  options: { ids: [[0], [5, 2], [1, 1], [6]] },
  where: 'at',
  really: (at = '**', options) => tokens.unchecked({ at, ...options } as never) as AnyTransform,
  naively: (world, at, options) => {
    const ids = options['ids'] as readonly number[]
    const fits = new Set(ids).size === ids.length && ids.every((id) => id < 6)
    if (!namesNode(at, words) || !fits || world.parameters.get(`${words}.weight`)!.adapter !== undefined)
      return undefined
    return rewritten(world, (s, path) =>
      path === `${words}.weight` ? { ...s, adapter: onWeight('TokenRows', 4 * ids.length) } : s,
    )
  },
  recipe: 'tokens',
  patterns: ['**', '**.token_embdgs', 'embedding_block', '**.weight'],
  keepsOutputs: true,
  merges: 'TokenRows',
}

/** Every method that wraps weights, each by its own count. */
export const weightSteps: Readonly<Record<string, PlanStep>> = {
  lora: onWeights<Ranked>({
    tag: 'Lora',
    make: lora.unchecked,
    options: ranks,
    adds: ([i, o], { rank }) => rank * (i + o),
    recipe: 'lora',
    formOfRecipe: tablesWithoutMatrix,
  }),
  loraRandom: onWeights<Ranked & { readonly init: string }>({
    tag: 'Lora',
    make: lora.unchecked,
    options: { rank: [2, 2, 3], init: ['gaussian', 'random', 'orthogonal'] },
    adds: ([i, o], { rank }) => rank * (i + o),
    fits: (_, { rank, init }) => init !== 'orthogonal' || rank % 2 === 0,
    recipe: 'lora',
    changes: true,
  }),
  loraFrom: onWeights<Ranked>({
    tag: 'LoraFrom',
    make: lora.unchecked,
    options: { rank: [1, 3, 5], init: ['pissa', 'olora'] },
    adds: ([i, o], { rank }) => rank * (i + o),
    fits: ([i, o], { rank }) => rank <= Math.min(i, o),
    recipe: 'lora',
  }),
  loraEmbedding: onWeights<Ranked>({
    tag: 'Lora',
    make: lora.embedding.unchecked,
    options: ranks,
    adds: ([i, o], { rank }) => rank * (i + o),
    form: 'table',
    patterns: ['**', '**.token_embdgs', 'embedding_block', '**.weight', '**.mlp'],
  }),
  loftq: onWeights<Ranked>({
    tag: 'Lora',
    make: loftq.unchecked,
    options: { rank: [1, 4, 5], scheme: [undefined, 'int8'], iterations: [undefined, 2] },
    adds: ([i, o], { rank }) => rank * (i + o),
    fits: ([i, o], { rank }) => rank <= Math.min(i, o),
    base: (s) => (s.packed ? undefined : { ...s, packed: true, status: 'frozen', original: true }),
    recipe: 'loftq',
    changes: true,
  }),
  dora: onWeights<Ranked>({
    tag: 'Dora',
    make: dora.unchecked,
    options: { rank: [1, 3], detachNorm: [undefined, true], init: [undefined, 'gaussian'] },
    adds: ([i, o], { rank }) => rank * (i + o) + o,
    recipe: 'dora',
  }),
  adalora: onWeights<Ranked>({
    tag: 'AdaLora',
    make: adalora.unchecked,
    options: ranks,
    adds: ([i, o], { rank }) => rank * (i + o + 1),
    recipe: 'adalora',
  }),
  loha: onWeights<Ranked>({
    tag: 'Loha',
    make: loha.unchecked,
    options: ranks,
    adds: ([i, o], { rank }) => 2 * rank * (i + o),
    recipe: 'loha',
  }),
  lokr: onWeights<Ranked>({
    tag: 'Lokr',
    make: lokr.unchecked,
    options: ranks,
    adds: lokrAdds,
    recipe: 'lokr',
  }),
  vera: onWeights<Ranked>({
    tag: 'Vera',
    make: vera.unchecked,
    options: { rank: [2, 3] },
    adds: ([, o], { rank }) => o + rank,
    recipe: 'vera',
  }),
  ia3: onWeights({
    tag: 'Ia3',
    make: ia3.unchecked,
    options: {},
    adds: ([, o]) => o,
    recipe: 'ia3',
    drawn: false,
  }),
  ia3Inputs: onWeights({
    tag: 'Ia3Inputs',
    make: ia3.inputs.unchecked,
    options: {},
    adds: ([i]) => i,
    drawn: false,
  }),
  fourierft: onWeights<{ readonly frequencies: number }>({
    tag: 'Fourierft',
    make: fourierft.unchecked,
    options: { frequencies: [3, 16, 17], scale: [2] },
    adds: (_, { frequencies }) => frequencies,
    fits: ([i, o], { frequencies }) => frequencies <= i * o,
    recipe: 'fourierft',
    changes: true,
  }),
  miss: onWeights<Ranked & { readonly columns?: number }>({
    tag: 'Miss',
    make: miss.unchecked,
    options: { rank: [1, 2, 3, 5], columns: [undefined, 1, 2, 3] },
    adds: ([, o], { rank, columns = o }) => rank * columns,
    fits: ([i, o], { rank, columns = o }) => rank <= i && o % columns === 0,
    recipe: 'miss',
    drawn: false,
  }),
  oft: onWeights<{ readonly blockSize: number }>({
    tag: 'Oft',
    make: oft.unchecked,
    options: { blockSize: [2, 2, 3, 4] },
    adds: ([i], { blockSize: b }) => (i / b) * ((b * (b - 1)) / 2),
    fits: ([i], { blockSize }) => i % blockSize === 0,
    recipe: 'oft',
  }),
  boft: onWeights<{ readonly blockSize: number; readonly factors: number }>({
    tag: 'Boft',
    make: boft.unchecked,
    options: { blockSize: [2, 2, 3], factors: [1, 2] },
    adds: ([i, o], { blockSize: b, factors }) => factors * (i / b) * b * b + o,
    fits: ([i], { blockSize: b, factors }) => i % (b * 2 ** (factors - 1)) === 0 && (factors === 1 || b % 2 === 0),
    recipe: 'boft',
  }),
  hra: onWeights<Ranked>({
    tag: 'Hra',
    make: hra.unchecked,
    options: { rank: [2, 3, 4] },
    adds: ([i], { rank }) => rank * i,
    fits: (_, { rank }) => rank % 2 === 0,
    recipe: 'hra',
  }),
  scaled: onWeights({
    tag: 'Scaled',
    make: attach(Scaled).unchecked,
    options: {},
    adds: ([, o]) => o,
    drawn: false,
  }),
  tokens: tokenRows,
}
