import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  adapterOf,
  freeze,
  key,
  leafPlaces,
  lora,
  pipe,
  prompt,
  relabel,
  sameStructure,
  sllm,
  wear,
  wearEach,
} from '../../src/index.ts'
import { loadAdapter, orThrow, saveAdapter } from '../../src/io/index.ts'
import { memory } from '../../src/ops/index.ts'
import { inFolder, same } from './trees.ts'

const config = { ...sllm.config.seed, d_model: 8, d_head: 4, context_window: 9, vocab_size: 20 }

test('two adapters from two folders stand on one base, whose tensors they share', () =>
  inFolder(async (folder, hold) => {
    const base = hold(freeze(sllm.init(config, key(0))))
    const fr = hold(pipe(base, lora({ at: '**.ln_1', rank: 2 })))
    const de = hold(pipe(base, lora({ at: '**.c_proj', rank: 3 }), prompt({ length: 2 })))
    await orThrow(saveAdapter(wear(adapterOf(fr))(base), join(folder, 'fr')))
    await orThrow(saveAdapter(wear(adapterOf(de))(base), join(folder, 'de')))
    const before = memory().tensors
    const loaded = hold([
      await orThrow(loadAdapter(base, join(folder, 'fr'))),
      await orThrow(loadAdapter(base, join(folder, 'de'))),
    ])
    // Two LoRAs of two places and one prompt: 4 + 4 + 1.
    expect(memory().tensors - before).toBe(9)
    const ofBase = new Set(leafPlaces(base).map((p) => p.node.value))
    for (const [i, model] of loaded.entries()) {
      expect(same(model, [fr, de][i])).toBe(true)
      expect(leafPlaces(model).filter((p) => ofBase.has(p.node.value)).length).toBe(leafPlaces(base).length)
      expect(sameStructure(wear(adapterOf<unknown>(model))(base), model)).toBe(true)
    }
    const models = wearEach(base, { fr: adapterOf<unknown>(loaded[0]), de: adapterOf<unknown>(loaded[1]) })
    expect(memory().tensors - before).toBe(9)

    // A name is no part of what is saved.
    await orThrow(
      saveAdapter(
        relabel(models.fr, (label) => label.replace(/^fr\./, '')),
        join(folder, 'again'),
      ),
    )
    const bytes = (name: string) => readFileSync(join(folder, name, 'adapter.safetensors'))
    expect(bytes('again').equals(bytes('fr'))).toBe(true)
  }))
