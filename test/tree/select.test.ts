import { expect, test } from 'vitest'
import { find, freeze, lora, param, pipe, prompt, select } from '../../src/index.ts'
import type { Selector } from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'
import { brief, issuesOf, messageOf, tinySllm } from '../support.ts'

const base = tinySllm()
const paths = (selector: Selector, tree: unknown = base): readonly string[] => select(tree, selector).paths
const leaf = (label: string) => param('matrix', label, zeros([1, 1]))

test('one segment, any depth, alternatives and ranges', () => {
  expect(paths('out_head')).toEqual(['out_head'])
  expect(paths('*')).toEqual(['embedding_block', 'transformer_blocks', 'final_norm', 'out_head'])
  expect(paths('**.c_proj')).toEqual(['transformer_blocks.0.mlp.c_proj', 'transformer_blocks.1.mlp.c_proj'])
  expect(paths('transformer_blocks.{-1..-1}.{ln1,ln2}')).toEqual([
    'transformer_blocks.1.ln1',
    'transformer_blocks.1.ln2',
  ])
  expect(paths('transformer_blocks.{0..9}')).toEqual(['transformer_blocks.0', 'transformer_blocks.1'])
  expect(paths('**')).toEqual([''])
})

test('a list of patterns hits what any of them hits, in path order', () => {
  expect(paths(['out_head', 'final_norm'])).toEqual(['final_norm', 'out_head'])
})

test('a hit never lies inside another hit, and a pattern that is hit only there is no mistake', () => {
  const s = select(base, ['transformer_blocks', '**.ln_1', 'transformer_blocks.0'])
  expect(s.paths).toEqual(['transformer_blocks'])
  expect(s.perPattern).toEqual({ transformer_blocks: 1, '**.ln_1': 2, 'transformer_blocks.0': 1 })
})

test('`except` leaves whole subtrees out, and splits a hit that holds them', () => {
  expect(paths({ glob: 'transformer_blocks.*', except: '**.1' })).toEqual(['transformer_blocks.0'])
  expect(paths({ glob: 'transformer_blocks.0', except: ['**.mha', '**.mlp'] })).toEqual([
    'transformer_blocks.0.ln1',
    'transformer_blocks.0.ln2',
  ])
  expect(paths({ except: ['embedding_block', 'transformer_blocks', 'out_head.weight'] })).toEqual([
    'final_norm',
    'out_head.bias',
  ])
})

test('`kind` is the tag of a node', () => {
  expect(paths({ kind: 'LayerNorm' })).toHaveLength(5)
  expect(paths({ glob: '**.mlp', kind: 'Linear' })).toEqual([
    'transformer_blocks.0.mlp.ln_1',
    'transformer_blocks.0.mlp.c_proj',
    'transformer_blocks.1.mlp.ln_1',
    'transformer_blocks.1.mlp.c_proj',
  ])
})

test('a predicate sees paths and nodes', () => {
  const seen: string[] = []
  expect(paths((path) => seen.push(path) > 0 && path.endsWith('.Wq'))).toHaveLength(2)
  expect(seen).toContain('transformer_blocks.1.mlp')
  expect(paths((_, node) => (node as { form?: string }).form === 'table')).toEqual([
    'embedding_block.token_embdgs.weight',
    'embedding_block.position_embdgs.weight',
  ])
})

test('a selection selects again what it has selected, whatever the names are', () => {
  const s = select(base, { glob: '**', kind: 'Attention' })
  expect(select(base, s).paths).toEqual(s.paths)
  expect(select(base, s).parameters).toBe(s.parameters)
  const odd = { 'a.b': leaf('1'), '{x}': leaf('2'), '*': leaf('3'), plain: leaf('4') }
  const chosen = select(odd, (path) => path !== '' && path !== 'plain')
  expect(chosen.paths).toEqual(['a.b', '{x}', '*'])
  expect(select(odd, chosen).paths).toEqual(chosen.paths)
  expect(select(base, select(base, '**')).paths).toEqual([''])
  expect(brief(issuesOf(() => select({ other: leaf('1') }, s)))).toEqual(s.paths.map((p) => `NoMatch ${p}`))
})

test('a selection counts a tied parameter once, and no constants', () => {
  const tied = leaf('tie')
  expect(select({ a: tied, b: tied, c: leaf('c') }, '*').parameters).toBe(2)
})

test('what wraps adds no segment: a glob means the same before and after', () => {
  const before = paths(['**.ln_1', '**.token_embdgs', '**.c_proj.weight'])
  const tuned = pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 1 }), prompt({ length: 2 }))
  expect(paths(['**.ln_1', '**.token_embdgs', '**.c_proj.weight'], tuned)).toEqual(before)
  expect(paths('**.{a,b}', tuned)).toHaveLength(8)
  expect(paths('**.prompt', tuned)).toEqual(['embedding_block.token_embdgs.prompt'])
  expect(paths('**.token_embdgs.weight', tuned)).toEqual(['embedding_block.token_embdgs.weight'])
})

test('a place where something is wrapped is the wrapper; its kind finds what is inside', () => {
  const tuned = pipe(base, lora({ at: '**.ln_1', rank: 1 }))
  const [place] = find(tuned, 'transformer_blocks.0.mlp.ln_1.weight')
  expect(place?.node).toHaveProperty('_tag', 'Lora')
  expect(paths({ glob: '**.ln_1', kind: 'Lora' }, tuned)).toHaveLength(2)
  const [bare] = find(tuned, { glob: 'transformer_blocks.0.mlp.ln_1.weight', kind: 'Param' })
  expect(bare?.node).toBe(base.transformer_blocks[0]?.mlp.ln_1.weight)
})

test('no hit says which names are near', () => {
  expect(messageOf(() => select(base, '**.c_porj'))).toMatchInlineSnapshot(`
    "NoMatch at **.c_porj: expected a pattern that matches this model, found no match for "**.c_porj".
      Did you mean "**.c_proj"?"
  `)
  expect(messageOf(() => select(base, 'transformer_block.0.mlp'))).toMatchInlineSnapshot(`
    "NoMatch at transformer_block.0.mlp: expected a pattern that matches this model, found no match for "transformer_block.0.mlp".
      Did you mean "transformer_blocks.*.mlp", "transformer_blocks.*.mha"?"
  `)
  expect(messageOf(() => select(base, 'transformer_blocks.{5..9}.mha'))).toMatchInlineSnapshot(`
    "NoMatch at transformer_blocks.{5..9}.mha: expected a pattern that matches this model, found no match for "transformer_blocks.{5..9}.mha".
      Did you mean "transformer_blocks.*.mha"?"
  `)
  expect(messageOf(() => select(base, ['**.ln_1', 'out_haed', '**.zzzzzzzzz']))).toMatchInlineSnapshot(`
    "NoMatch at out_haed: expected a pattern that matches this model, found no match for "out_haed".
      Did you mean "out_head"?
    NoMatch at **.zzzzzzzzz: expected a pattern that matches this model, found no match for "**.zzzzzzzzz".
      There is "**.embedding_block", "**.token_embdgs", "**.weight", "**.position_embdgs", "**.transformer_blocks", "**.ln1", "**.scale", "**.mha"."
  `)
})

test('no hit says whether the kind or `except` is the reason', () => {
  expect(messageOf(() => select(base, { glob: '**.ln_1', kind: 'Linaer' }))).toMatchInlineSnapshot(`
    "NoMatch at **.ln_1: expected a place of kind Linaer, found none under "**.ln_1".
      Did you mean "Linear"?"
  `)
  expect(messageOf(() => select(base, { glob: 'out_head', except: '**' }))).toMatchInlineSnapshot(`
    "NoMatch at out_head: expected something that \`except\` leaves, found nothing left of "out_head".
      Every hit is excluded: leave a pattern of \`except\` out."
  `)
})

test('all patterns that cannot be read are named at once', () => {
  expect(messageOf(() => select(base, ['**.ln_1', 'a..b', '{4..0}']))).toMatchInlineSnapshot(`
    "BadSelector at the root: expected a pattern such as "**.ln_1" or "transformer_blocks.{0..3}.mlp", found "a..b".
      "" is not a segment: write a name, *, **, {a,b} or {0..3}
    BadSelector at the root: expected a pattern such as "**.ln_1" or "transformer_blocks.{0..3}.mlp", found "{4..0}".
      the range "{4..0}" runs backwards"
  `)
})

test('what is no selector at all is refused, with what was found', () => {
  for (const bad of [
    undefined,
    null,
    5,
    true,
    [5],
    { globe: '**' },
    { kind: 5 },
    new Map(),
    Symbol('s'),
    base.out_head,
  ])
    expect(brief(issuesOf(() => select(base, bad as never)))[0]).toBe('BadSelector ')
  expect(messageOf(() => select(base, { globe: '**' } as never))).toMatchInlineSnapshot(`
    "BadSelector at the root: expected a pattern, a list of patterns, { glob, except, kind }, a predicate or a selection, found { globe }.
      Did you mean "glob"?"
  `)
})

test('an empty list of patterns hits nothing, which is a mistake', () => {
  expect(brief(issuesOf(() => select(base, [])))).toEqual(['NoMatch '])
})

test('a pattern on a tree that holds nothing', () => {
  for (const tree of [null, undefined, 5, 'text', {}, [], () => 1])
    expect(messageOf(() => select(tree, 'a'))).toMatch(/NoMatch at a: .*\n {2}There is nothing to choose from\./)
})
