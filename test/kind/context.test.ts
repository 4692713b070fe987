import { describe, expect, test } from 'vitest'
import {
  MlpKind,
  context,
  embed,
  key,
  kinds,
  layer,
  lora,
  materialize,
  param,
  pipe,
  project,
  prompt,
  runModel,
  shapeOf,
  sllm,
  under,
} from '../../src/index.ts'
import type { Ctx, Mlp } from '../../src/index.ts'
import { ones, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { brief, data, idsOf, issuesOf, loud, messageOf, numbers, tiny } from '../support.ts'

describe('dispatch by tag', () => {
  const x = ones([1, 2])

  test('a tag that is no kind is named, with the nearest and what to do', () => {
    expect(messageOf(() => layer({ _tag: 'Linaer' }, x, context()))).toMatchInlineSnapshot(`
      "UnknownKind at the root: expected a node of role layer, found "Linaer", which is no kind known here.
        Did you mean "Linear"? A kind of your own goes into the context, { kinds: { Linaer } }, or to merge.knowing({ Linaer })."
    `)
    expect(brief(issuesOf(() => runModel({ _tag: 'Sllm' }, { ids: x }, context())))).toEqual(['UnknownKind '])
  })

  test('a kind of another role is refused', () => {
    const message = messageOf(() => layer({ _tag: 'Embedding' }, x, context()))
    expect(message).toContain('expected a node of role layer, found "Embedding", whose role is embed.')
    expect(message).toContain('There is "Linear", "LayerNorm", ')
    expect(message).toContain('Call it by its role: embed(…).')
    expect(issuesOf(() => project(x, { _tag: 'Linear' }, context()))[0]?._tag).toBe('UnknownKind')
    expect(issuesOf(() => embed({ _tag: 'Lora' }, { ids: x }, context()))[0]?._tag).toBe('UnknownKind')
  })

  test('names that every object has are no kinds', () => {
    for (const _tag of ['constructor', 'toString', '__proto__'])
      expect(issuesOf(() => layer({ _tag }, x, context()))[0]?._tag).toBe('UnknownKind')
  })

  test('a kind in the context takes the place of ours', () => {
    const Linear = { ...kinds['Linear']!, ops: { layer: () => ones([7]) } }
    expect(layer({ _tag: 'Linear' }, x, context({ kinds: { Linear } })).shape).toEqual([7])
  })

  test('a weight is asked for its shape and its dense value', () => {
    const w = param('matrix', 'w', tensor([[1, 2]]))
    expect(shapeOf(w, context())).toEqual([1, 2])
    expect(materialize(w, context())).toBe(w.value)
  })
})

describe('dropout', () => {
  const base = sllm.init({ ...tiny, dropout: 0.5 }, key(0))
  const tuned = loud(lora({ at: ['**.ln_1', '**.Wq', 'out_head'], rank: 4, dropout: 0.5 })(base), (l) =>
    l.endsWith('.b'),
  )
  const ids = idsOf([[1, 2, 3, 4]])
  const run = (model: typeof base | typeof tuned, ctx?: Partial<Ctx>) => numbers(() => sllm.apply(model, ids, ctx))

  test('is off in evaluation, key or no key', () => {
    const without = sllm.init(tiny, key(0))
    expect(run(base)).toEqual(run(without))
    expect(run(base, { key: key(1) })).toEqual(run(base))
    expect(run(base, { train: false, key: key(1) })).toEqual(run(base))
    expect(run(tuned, { key: key(1) })).toEqual(run(tuned))
  })

  test('in training, equal keys give equal masks, other keys and other seeds other masks', () => {
    const train = (k: number, seed?: readonly number[]) =>
      run(tuned, {
        train: true,
        key: key(k),
        ...(seed === undefined ? {} : { seed: tensor([...seed], undefined, 'int32') }),
      })
    expect(train(1)).toEqual(train(1))
    expect(train(1)).not.toEqual(run(tuned))
    expect(train(1)).not.toEqual(train(2))
    expect(train(1, [0, 1])).toEqual(train(1, [0, 1]))
    expect(train(1, [0, 1])).not.toEqual(train(1, [0, 2]))
    expect(train(1, [0, 1])).not.toEqual(train(1))
  })

  test('each place has a mask of its own, even where one block stands twice', () => {
    const [block] = base.transformer_blocks
    const drops: string[] = []
    const Watched = {
      ...MlpKind,
      ops: {
        layer: (n: Mlp, x: Tensor, ctx: Ctx) => {
          const [kept, dropped] = [{ ...n, dropout: 0 }, n].map((node) => MlpKind.ops.layer(node, x, ctx)) as [
            Tensor,
            Tensor,
          ]
          drops.push(
            data(dropped)
              .map((v, i) => (v === 0 && data(kept)[i] !== 0 ? 0 : 1))
              .join(''),
          )
          return dropped
        },
      },
    }
    const twice = { ...base, transformer_blocks: [block!, block!, base.transformer_blocks[1]!] }
    sllm.apply(twice, ids, { train: true, key: key(1), kinds: { Mlp: Watched } })
    expect(drops).toHaveLength(3)
    expect(new Set(drops).size).toBe(3)
    for (const mask of drops) expect(mask).toMatch(/0.*1|1.*0/)
  })

  test('a key folded by a child’s name is the child’s own; without a key there is none', () => {
    const ctx = context({ key: key(1) })
    expect(under(ctx, 'a').key).not.toEqual(under(ctx, 'b').key)
    expect(under(ctx, 'a').key).toEqual(under(ctx, 'a').key)
    expect(under(context(), 'a').key).toBeUndefined()
  })

  test('training without a key is refused where there is dropout, and only there', () => {
    expect(messageOf(() => run(base, { train: true }))).toMatchInlineSnapshot(`
      "NoKey at transformer_blocks.0.mlp.c_proj.weight.dropout: expected a key to draw the dropout mask from, found training without one.
        Pass { train: true, key: key(0) } in the context, or the context that \`fit\` hands to the loss."
    `)
    const adapter = lora({ at: 'out_head', rank: 1, dropout: 0.1 })(sllm.init(tiny, key(0)))
    expect(brief(issuesOf(() => sllm.apply(adapter, ids, { train: true })))).toEqual(['NoKey out_head.weight.a'])
    const dry = pipe(sllm.init(tiny, key(0)), lora({ at: '**', rank: 1 }), prompt({ length: 2 }))
    expect(numbers(() => sllm.apply(dry, ids, { train: true }))).toHaveLength(6 * 11)
  })
})
