import { describe, expect, test } from 'vitest'
import { adamw, classifier, count, fit, freeze, key, lora, pipe, prompt, sllm } from '../../src/index.ts'
import type { AnySllm, ClassExample } from '../../src/index.ts'
import { item, memory, scope, slice, toArray } from '../../src/ops/index.ts'

const config = { ...sllm.config.seed, d_model: 16, d_head: 8, vocab_size: 24, n_layers: 1, context_window: 12 }
const task = classifier<AnySllm>({ next: sllm.nextLogits, labels: [5, 3] })

// Whether the token 10 occurs, in texts of different lengths.
const data: readonly ClassExample[] = Array.from({ length: 48 }, (_, i) => {
  const ids = Array.from({ length: 3 + (i % 4) }, (_unused, j) => 11 + ((i * 7 + j * 5) % 12))
  const label = i % 2
  if (label === 0) ids[i % ids.length] = 10
  return { ids: [...ids, 1], label }
})

describe('classifier', () => {
  test('its logits are those of the label tokens, in the order of the labels', () => {
    const model = sllm.init(config, key(0))
    const batch = task.collate(data.slice(0, 3))
    const all = sllm.nextLogits(model, batch)
    const [five, three] = [5, 3].map((id) => toArray(slice(all, [0, id], [3, 1])) as number[][])
    expect(toArray(task.logits(model, batch))).toEqual(five!.map((row, i) => [row[0], three![i]![0]]))
  })

  test('padding changes no answer', () => {
    const model = sllm.init(config, key(0))
    const alone = data.slice(0, 4).map((e) => (toArray(task.logits(model, task.collate([e]))) as number[][])[0]!)
    const together = toArray(task.logits(model, task.collate(data.slice(0, 4)))) as number[][]
    together.flat().forEach((v, i) => expect(v).toBeCloseTo(alone.flat()[i]!, 5))
  })

  test('full fine-tuning, LoRA and a soft prompt all learn with the same loop', async () => {
    const base = sllm.init(config, key(0))
    const options = {
      data,
      collate: task.collate,
      loss: task.loss,
      optimiser: adamw({ rate: 0.02, clip: 1 }),
      epochs: 12,
      batchSize: 8,
      key: key(1),
    }
    expect(task.evaluate(base, data).accuracy).toBeLessThan(0.7)
    const full = await fit(base, options)
    expect(task.evaluate(full.model, data).accuracy).toBeGreaterThan(0.95)
    expect(count(full.model).trainable).toBe(count(base).parameters)
    const tuned = await fit(pipe(base, freeze, lora({ at: '**', rank: 4, alpha: 4 })), options)
    expect(task.evaluate(tuned.model, data).accuracy).toBeGreaterThan(0.9)
    const before = pipe(base, freeze, prompt({ length: 4 }))
    const prompted = await fit(before, options)
    expect(task.evaluate(prompted.model, data).loss).toBeLessThan(task.evaluate(before, data).loss)
  })

  test('evaluate leaks nothing and weighs each example alike', () => {
    const model = sllm.init(config, key(0))
    const tensors = memory().tensors
    const { loss } = task.evaluate(model, data)
    expect(memory().tensors).toBe(tensors)
    const small = classifier<AnySllm>({ next: sllm.nextLogits, labels: [5, 3], batchSize: 5 })
    expect(small.evaluate(model, data).loss).toBeCloseTo(loss, 5)
    scope(() => expect(item(task.loss(model, task.collate(data)))).toBeCloseTo(loss, 5))
  })

  test('refuses labels and examples that make no sense', () => {
    const model = sllm.init(config, key(0))
    expect(() => classifier({ next: sllm.nextLogits, labels: [5] })).toThrow(/two or more different/)
    expect(() => classifier({ next: sllm.nextLogits, labels: [5, 5] })).toThrow(/two or more different/)
    expect(() => task.collate([{ ids: [1], label: 2 }])).toThrow(/an index below 2/)
    expect(() => task.evaluate(model, [])).toThrow(/at least one/)
  })
})

test('batches that accumulation would leave over are refused before anything is trained', async () => {
  const options = { data, collate: task.collate, loss: task.loss, optimiser: adamw({ rate: 0.01 }), key: key(0) }
  const model = sllm.init(config, key(0))
  await expect(fit(model, { ...options, epochs: 1, batchSize: 12, accumulate: 100 })).rejects.toThrow(/divides/)
  await expect(fit(model, { ...options, epochs: 1, batchSize: 12, accumulate: 3 })).rejects.toThrow(/divides/)
})
