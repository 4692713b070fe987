import { expect, test } from 'vitest'
import * as A from 'fp-ts/lib/Array.js'
import * as E from 'fp-ts/lib/Either.js'
import * as I from 'fp-ts/lib/Identity.js'
import { get, lora, modify, param, set, traverse, withStatus } from '../../src/index.ts'
import type { Param } from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'
import { brief, issuesOf, messageOf, tinySllm } from '../support.ts'

const base = tinySllm()
const path = 'transformer_blocks.1.mlp.ln_1.weight'

test('get is the very object at a path', () => {
  expect(get(base, path)).toBe(base.transformer_blocks[1]?.mlp.ln_1.weight)
  expect(get(base, 'out_head')).toBe(base.out_head)
  expect(get(base, 'out_head.bias')).toBe(base.out_head.bias)
})

test('set changes the way there and nothing off it', () => {
  const weight = param('matrix', path, zeros([6, 6]))
  const after = set(base, path, weight)
  expect(get(after, path)).toBe(weight)
  expect(get(base, path)).not.toBe(weight)
  expect(after.transformer_blocks[0]).toBe(base.transformer_blocks[0])
  expect(after.transformer_blocks[1]).not.toBe(base.transformer_blocks[1])
  expect(after.transformer_blocks[1]?.mha).toBe(base.transformer_blocks[1]?.mha)
  expect(after.out_head).toBe(base.out_head)
  expect(Array.isArray(after.transformer_blocks)).toBe(true)
})

test('to put back what was there changes nothing', () => {
  expect(set(base, path, get(base, path))).toBe(base)
  expect(modify(base, 'out_head', (head) => head)).toBe(base)
})

test('modify may change the type, and the type says so', () => {
  const after = modify(base, 'out_head.weight', (w) => withStatus(w, 'frozen'))
  const status: 'frozen' = after.out_head.weight.status
  expect(status).toBe(get(after, 'out_head.weight').status)
  expect(after.out_head.weight.value).toBe(base.out_head.weight.value)
})

test('at an adapted place get gives the adapter, and set replaces it', () => {
  const tuned = lora({ at: '**.ln_1', rank: 1 })(base)
  expect(get(tuned, path)._tag).toBe('Lora')
  expect(get(tuned, `${path}.a`).label).toBe(`${path}.a`)
  expect(set(tuned, path, get(base, path)).transformer_blocks[1]).toStrictEqual(base.transformer_blocks[1])
})

test('a wrong path names the nearest; a pattern is no path', () => {
  expect(messageOf(() => get(base, 'out_haed' as never))).toMatchInlineSnapshot(`
    "NoMatch at out_haed: expected a pattern that matches this model, found no match for "out_haed".
      Did you mean "out_head"?"
  `)
  expect(messageOf(() => get(base, 'transformer_blocks.*' as never))).toMatchInlineSnapshot(`
    "BadPath at transformer_blocks.*: expected the path of one place, found a pattern (its first hit is transformer_blocks.0).
      Write every segment out, or use \`traverse\`, which takes patterns."
  `)
  expect(brief(issuesOf(() => set(base, '**' as never, 1)))).toEqual(['BadPath **'])
})

test('traverse visits the hits in path order and rebuilds the tree inside the effect', () => {
  const visited: string[] = []
  const frozen = traverse(I.Applicative)(base, '**.bias', (node, at) => {
    visited.push(at)
    return withStatus(node as Param, 'frozen')
  }) as typeof base
  expect(visited).toEqual([
    'transformer_blocks.0.mha.projection_out.bias',
    'transformer_blocks.1.mha.projection_out.bias',
    'out_head.bias',
  ])
  expect(frozen.out_head.bias?.status).toBe('frozen')
  expect(frozen.out_head.weight).toBe(base.out_head.weight)
})

test('traverse in Either gives the first refusal, and the tree itself when nothing changes', () => {
  const refuse = (_: unknown, at: string) => E.left(at)
  const validated = traverse(E.Applicative)
  expect(validated(base, ['**.ln_1', 'out_head'], refuse)).toEqual(E.left('transformer_blocks.0.mlp.ln_1'))
  const same: E.Either<never, unknown> = validated(base, '**.ln_1', (node) => E.right(node))
  expect(E.isRight(same) && same.right).toBe(base)
})

test('a validation collects every refusal', () => {
  const all = traverse(E.getApplicativeValidation(A.getSemigroup<string>()))
  expect(all(base, '**.ln_1', (_, at) => E.left([at]))).toEqual(
    E.left(['transformer_blocks.0.mlp.ln_1', 'transformer_blocks.1.mlp.ln_1']),
  )
})
