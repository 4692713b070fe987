import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { key, llama, lora, quantize, sllm, valueAndGrad } from '../../src/index.ts'
import type { LossCtx } from '../../src/index.ts'
import { compile, engine } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { hasNativeKernels } from '../../src/ops/native/custom.ts'
import { distance, idsOf, loud, tinySllm } from '../support.ts'

const has = await engine({ prefer: 'native', quiet: true }).then(hasNativeKernels, () => false)

beforeAll(() => engine({ prefer: has ? 'native' : 'js', quiet: true }))
afterAll(() => engine({ prefer: 'js', quiet: true }))

type Loss = (model: never, batch: unknown, ctx: LossCtx) => Tensor

const batch = { ids: idsOf([[1, 2, 3, 4, 5]]), labels: idsOf([[1, 2, 3, 4, 5]]) }
const small = {
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
} as const
const bases = {
  llama: { loss: llama.loss, make: () => llama.init(small, key(0)) },
  sllm: { loss: sllm.loss, make: tinySllm },
} as const

describe.runIf(has)('LoRA on a base that is packed, its embeddings too', () => {
  const cases = Object.entries(bases).flatMap(([name, base]) =>
    (['bf16', 'f16', 'int8', 'nf4'] as const).map((scheme) => ({ name, ...base, scheme })),
  )
  test.for(cases)('learns as one graph: $name, $scheme', ({ make, loss, scheme }) => {
    const packed = quantize.tables.unchecked({ at: '**', scheme })(quantize.unchecked({ at: '**', scheme })(make()))
    const attached = lora.unchecked({ at: '**.{q_proj,Wq}', rank: 2, key: key(1) })(packed)
    const model = loud(attached, (label) => /\.(a|b)$/.test(label)) as never
    const slopes = (m: never, given: typeof batch) => valueAndGrad(loss as unknown as Loss as never)(m, given)
    const compiled = compile(slopes)
    const [found, expected] = [compiled(model, batch), slopes(model, batch)]
    expect(compiled.report()).toEqual({ graphs: 1, direct: [] })
    expect(distance(found.value, expected.value)).toBeLessThan(1e-5)
    const grads = Object.entries<Tensor>(found.grads)
    expect(grads.length).toBeGreaterThan(0)
    for (const [label, grad] of grads)
      expect(distance(grad, (expected.grads as Record<string, Tensor>)[label]!), label).toBeLessThan(1e-4)
  })
})
