import { expect, test } from 'vitest'
import {
  adalora,
  boft,
  bottleneck,
  count,
  dora,
  fourierft,
  freeze,
  hra,
  ia3,
  key,
  loha,
  lokr,
  lora,
  oft,
  pipe,
  prefix,
  prompt,
  ptuning,
  quantize,
  sllm,
  tokens,
  vera,
} from '../../src/index.ts'
import { loadAdapter, orThrow, readAdapter, saveAdapter } from '../../src/io/index.ts'
import { perturbed } from '../../src/laws/index.ts'
import { read, tensor } from '../../src/ops/index.ts'
import { inFolder } from './trees.ts'

const config = { ...sllm.config.seed, d_model: 8, d_head: 4, context_window: 9, vocab_size: 20, bias: true }

const small = () =>
  pipe(
    freeze(sllm.init(config, key(0))),
    quantize({ at: '**', doubleQuant: true }),
    quantize.tables({ at: '**', scheme: 'int8' }),
  )
type Small = ReturnType<typeof small>

const methods: Readonly<Record<string, (m: Small) => unknown>> = {
  lora: lora({ at: '**.mlp', rank: 2 }),
  'lora with a bias': lora({ at: '**.mlp', rank: 2, bias: true }),
  pissa: lora({ at: '**.mlp', rank: 2, init: 'pissa' }),
  'lora.embedding': lora.embedding({ at: '**', rank: 2 }),
  dora: dora({ at: '**.mlp', rank: 2 }),
  adalora: adalora({ at: '**.mlp', rank: 2 }),
  loha: loha({ at: '**.mlp', rank: 2 }),
  lokr: lokr({ at: '**.mlp', rank: 1 }),
  vera: vera({ at: '**.mlp', rank: 3 }),
  ia3: ia3({ at: '**' }),
  'ia3.inputs': ia3.inputs({ at: '**' }),
  fourierft: fourierft({ at: '**.mlp', frequencies: 5 }),
  oft: oft({ at: '**.mlp', blockSize: 2 }),
  boft: boft({ at: '**.mlp', blockSize: 2 }),
  hra: hra({ at: '**.mlp', rank: 2 }),
  tokens: tokens({ ids: [3, 1] }),
  bottleneck: bottleneck({ placement: 'houlsby' }),
  prompt: prompt({ length: 2 }),
  ptuning: ptuning({ length: 2, encoder: 'lstm', hidden: 3 }),
  prefix: prefix({ length: 2, projection: 3 }),
  'several at once': (m) =>
    pipe(
      m,
      lora({ at: '**.mha', rank: 2 }),
      bottleneck({ placement: 'pfeiffer' }),
      prompt({ length: 2 }),
      prefix({ length: 1 }),
    ),
}

test.each(Object.entries(methods))('%s over a quantised base goes through a file and back', (_, put) =>
  inFolder(async (folder, hold) => {
    const base = hold(small())
    const ids = hold(tensor([[1, 2, 3]], undefined, 'int32'))
    const tuned = hold(perturbed(hold(put(base)), key(1), { only: (leaf) => leaf.status === 'trainable' }))
    await orThrow(saveAdapter(tuned, folder))
    const { carries } = await orThrow(readAdapter(folder))
    expect(carries.filter((label) => /\.(codes|absmax|nestedAbsmax|offset)$/.test(label))).toEqual([])
    const wanted = read(hold(sllm.apply(tuned as never, ids)))
    for (const like of [undefined, put]) {
      const fresh = hold(small())
      const again = hold(
        await orThrow(
          like === undefined ? loadAdapter<unknown>(fresh, folder) : loadAdapter<Small, unknown>(fresh, folder, like),
        ),
      )
      expect(read(hold(sllm.apply(again as never, ids)))).toEqual(wanted)
      expect(count(again)).toEqual(count(tuned))
    }
  }),
)

test('a base in another state than the adapter was made on says what to do', () =>
  inFolder(async (folder, hold) => {
    const dense = hold(freeze(sllm.init(config, key(0))))
    const packed = hold(quantize({ at: '**' })(dense))
    const put = lora({ at: '**.mlp', rank: 2 })
    const hints = async (base: unknown): Promise<readonly string[]> => {
      const loaded = await loadAdapter<unknown>(base, folder)()
      return loaded._tag === 'Left' ? [...new Set(loaded.left.map((i) => i.hint))] : []
    }
    await orThrow(saveAdapter(hold(put(dense)), folder))
    expect(await hints(packed)).toEqual([expect.stringContaining('load it onto the dense one')])
    expect(await hints(hold(put(dense)))).toEqual([expect.stringContaining('detach(base)')])
    await orThrow(saveAdapter(hold(put(packed)), folder))
    expect(await hints(dense)).toEqual([expect.stringContaining('apply the same `quantize`')])
  }))
