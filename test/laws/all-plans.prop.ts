import { fc, test } from '@fast-check/vitest'
import { expect, test as once } from 'vitest'
import {
  EspalierError,
  applyRecipe,
  count,
  detach,
  get,
  innermost,
  isParam,
  isWrapper,
  key,
  leafPlaces,
  leaves,
  merge,
  places,
  showPath,
  sllm,
  unsound,
} from '../../src/index.ts'
import type { Leaf } from '../../src/index.ts'
import { perturbed } from '../../src/laws/index.ts'
import type { AnyTransform } from '../../src/laws/index.ts'
import { memory, read, scope, tensor } from '../../src/ops/index.ts'
import { Scaled } from './table.ts'
import { steps } from './plans/steps.ts'
import type { Options, PlanStep } from './plans/steps.ts'
import { bare, config, counted, patterns, start } from './plans/world.ts'
import type { Attached, Spec, Status, World } from './plans/world.ts'

/*
 * Random plans of every transform there is, on a model with embeddings, attention, mlp and head, against a Map of paths: what
 * is adapted by what, what is trainable, which values are those of the beginning, how many parameters that makes, what merge
 * and detach give, and what is refused.
 */

interface Planned {
  readonly name: string
  readonly at: string | undefined
  readonly options: Options
  readonly byRecipe: boolean
  readonly seed: number
}

const planned: fc.Arbitrary<Planned> = fc.constantFrom(...Object.keys(steps)).chain((name) =>
  fc.record({
    name: fc.constant(name),
    at: fc.option(fc.constantFrom(...Object.keys(patterns)), { nil: undefined, freq: 8 }),
    options: fc.record(
      Object.fromEntries(Object.entries(steps[name]!.options).map(([k, values]) => [k, fc.constantFrom(...values)])),
    ) as fc.Arbitrary<Planned['options']>,
    byRecipe: fc.boolean(),
    seed: fc.nat(999),
  }),
)

const really = ({ name, at, options, byRecipe, seed }: Planned): AnyTransform => {
  const step: PlanStep = steps[name]!
  if (!byRecipe || !step.inRecipes) return step.really(at, options, seed)
  const wholly = Object.keys(options).length === 0 ? {} : { at: '**' }
  return applyRecipe([{ [name]: { ...(at === undefined ? wholly : { at }), ...options } }], key(seed))
}

const statusOf = (own: readonly Leaf[]): Status => {
  const all = new Set(own.map((leaf) => (isParam(leaf) ? leaf.status : 'frozen')))
  expect(all.size, 'what one method adds is trained together').toBe(1)
  return [...all][0]!
}

/** What wraps a node, read from the tree; everything that is there beside what is wrapped is its own. */
const attachedTo = (node: unknown): Attached | undefined => {
  if (!isWrapper(node)) return undefined
  const under = new Set(leaves(node.base))
  const own = leaves(node).filter((leaf) => !under.has(leaf))
  return { tag: node._tag, parameters: own.reduce((n, leaf) => n + leaf.value.size, 0), status: statusOf(own) }
}

const nodeAt = (tree: unknown, path: string): unknown => get(tree as never, path as never)

/** The real tree, read into the naive form. */
const described = (tree: unknown, first: unknown): World => ({
  parameters: new Map(
    [...start.parameters].map(([path, { form, shape }]): readonly [string, Spec] => {
      const node = nodeAt(tree, path)
      const leaf = innermost(node)
      if (!isParam(leaf)) throw new Error(`no parameter at the bottom of ${path}`)
      expect([leaf.form, leaf.value.shape], path).toEqual([form, shape])
      const original = leaf.value === (nodeAt(first, path) as Leaf).value
      const adapter = attachedTo(node)
      return [path, { form, shape, status: leaf.status, original, ...(adapter && { adapter }) }]
    }),
  ),
  nodes: new Map([...start.nodes.keys()].map((path) => [path, attachedTo(nodeAt(tree, path))])),
})

const attempted = (f: AnyTransform, tree: unknown): unknown => {
  const live = memory().tensors
  try {
    return f(tree as never)
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error
    expect(memory().tensors, 'a refused transform has left tensors behind').toBe(live)
    return undefined
  }
}

const ids = tensor([[0, 3, 5]], undefined, 'int32')

/** The logits of the text itself, without the rows of a prompt before it. */
const outputsOf = (tree: unknown): readonly number[] =>
  [...read(sllm.apply(tree as never, ids, { kinds: { Scaled } }))].slice(-3 * config.vocab_size)

const furthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / Math.max(1, Math.abs(x))))

const taken: Record<string, number> = {}
const refused: Record<string, number> = {}
const merges: Record<string, number> = {}

/** A model on its way through a plan, what should be known of it, and what it computes. */
interface State {
  readonly tree: unknown
  readonly world: World
  readonly outputs: readonly number[]
}

const expectStep = (step: Planned, state: State, first: unknown): State => {
  const { tree, world } = state
  const shown = JSON.stringify(step)
  const [next, wanted] = [attempted(really(step), tree), steps[step.name]!.naively(world, step.at, step.options)]
  const tally = wanted === undefined ? refused : taken
  tally[step.name] = (tally[step.name] ?? 0) + 1
  expect(next === undefined ? 'refused' : 'taken', shown).toBe(wanted === undefined ? 'refused' : 'taken')
  if (next === undefined || wanted === undefined) return state
  expect(described(next, first), shown).toEqual(wanted)
  expect(count(next), shown).toEqual(counted(wanted))
  expect(unsound(next), shown).toEqual([])
  // What went in is as it was, and still works.
  expect(described(tree, first), shown).toEqual(world)
  const outputs = outputsOf(next)
  expect(outputs.every(Number.isFinite), shown).toBe(true)
  if (steps[step.name]!.keepsOutputs === true) expect(furthest(state.outputs, outputs), shown).toBeLessThan(2e-3)
  return { tree: next, world: wanted, outputs }
}

/** Whatever stands at the end is trained and merged, so that no plan ends without a merge of adapters that do something. */
const expectMerge = ({ tree, world }: State, seed: number): void => {
  const trained = perturbed(tree, key(seed), { style: 'float' })
  const merged = merge.knowing({ Scaled })(trained)
  const adapters = [...world.parameters.values()].flatMap((s) => s.adapter?.tag ?? [])
  adapters.forEach((tag) => (merges[tag] = (merges[tag] ?? 0) + 1))
  expect(furthest(outputsOf(trained), outputsOf(merged)), adapters.join()).toBeLessThan(2e-3)
  expect([...places(merged)].filter((p) => isWrapper(p.node) && isParam(innermost(p.node)))).toEqual([])
}

once('the paths of the naive model are those of the SLLM', () => {
  const base = sllm.init({ ...sllm.config.seed, ...config }, key(0))
  expect(leafPlaces(base).map((p) => [showPath(p.path), p.node.value.shape])).toEqual(
    [...start.parameters].map(([path, { shape }]) => [path, shape]),
  )
})

test.prop([fc.array(planned, { minLength: 1, maxLength: 12 }), fc.nat(99)], {
  numRuns: 14 * Object.keys(steps).length,
})('any plan of transforms does what a Map of paths does, refusals included', (plan, seed) => {
  scope(() => {
    const first = sllm.init({ ...sllm.config.seed, ...config }, key(seed))
    const begin: State = { tree: first, world: start, outputs: outputsOf(first) }
    const end = plan.reduce<State>((state, step) => expectStep(step, state, first), begin)
    expectMerge(end, seed)
    // What was neither trained nor merged comes back as the very leaf that it was.
    const { parameters, nodes } = described(detach(end.tree), first)
    expect(parameters).toEqual(new Map([...end.world.parameters].map(([path, s]) => [path, bare(s)])))
    expect([...nodes.values()].every((a) => a === undefined)).toBe(true)
    return null
  })
  expect(plan.length).toBeGreaterThan(0)
})

once('each transform was taken many times, and refused where it can be', () => {
  const total = (tally: Readonly<Record<string, number>>) => Object.values(tally).reduce((n, x) => n + x, 0)
  console.log(
    `plans: ${total(merges)} weights merged ${JSON.stringify(merges)}, ${total(taken)} steps taken ${JSON.stringify(taken)}, ${total(refused)} refused ${JSON.stringify(refused)}`,
  )
  expect(total(refused) / (total(taken) + total(refused))).toBeLessThan(0.6)
  for (const name of Object.keys(steps)) expect(taken[name] ?? 0, name).toBeGreaterThan(5)
  const tags = Object.values(steps).flatMap((step) => step.merges ?? [])
  for (const tag of tags) expect(merges[tag] ?? 0, tag).toBeGreaterThan(5)
  const never = ['freeze', 'unfreeze', 'train']
  for (const name of Object.keys(steps)) expect((refused[name] ?? 0) > 0, name).toBe(!never.includes(name))
})
