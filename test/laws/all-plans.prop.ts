import { fc, test } from '@fast-check/vitest'
import { expect, test as once } from 'vitest'
import {
  EspalierError,
  applyRecipe,
  count,
  detach,
  isWrappedWeight,
  key,
  leafPlaces,
  merge,
  kinds,
  places,
  shapeIssues,
  trainableOf,
  showPath,
  sllm,
  unsound,
} from '../../src/index.ts'
import { perturbed } from '../../src/laws/index.ts'
import type { AnyTransform } from '../../src/laws/index.ts'
import { libraryTools } from '../../src/laws/tools.ts'
import { memory, read, scope, sum, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/index.ts'
import { runsOf } from './suite.ts'
import { Scaled } from './table.ts'
import { beginnings, described } from './plans/described.ts'
import type { Beginnings } from './plans/described.ts'
import type { Options, PlanStep } from './plans/step.ts'
import { steps } from './plans/steps.ts'
import { bare, config, counted, patterns, start } from './plans/world.ts'
import type { World } from './plans/world.ts'

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

// Where there is nothing left to take, all is refused.
const often = ['detach', 'detach', 'merge']

const planned: fc.Arbitrary<Planned> = fc.constantFrom(...Object.keys(steps), ...often).chain((name) => {
  const { where, options, patterns: own = Object.keys(patterns) } = steps[name]!
  const some = fc.constantFrom(...own)
  return fc.record({
    name: fc.constant(name),
    at: where === 'whole' ? fc.constant(undefined) : fc.option(some, { nil: undefined, freq: 8 }),
    options: fc
      .record(Object.fromEntries(Object.entries(options).map(([k, values]) => [k, fc.constantFrom(...values)])))
      .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))),
    byRecipe: steps[name]!.recipe === undefined ? fc.constant(false) : fc.boolean(),
    seed: fc.nat(999),
  })
})

const really = ({ name, at, options, byRecipe, seed }: Planned): AnyTransform => {
  const { really: called, recipe, where }: PlanStep = steps[name]!
  if (!byRecipe || recipe === undefined) return called(at, options, seed)
  const wholly = where === 'at' ? { at: '**' } : {}
  return applyRecipe([{ [recipe]: { ...(at === undefined ? wholly : { at }), ...options } }], key(seed))
}

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
  readonly first: Beginnings
  readonly outputs: readonly number[]
}

const expectStep = (step: Planned, state: State): State => {
  const { tree, world, first } = state
  const shown = JSON.stringify(step)
  const next = attempted(really(step), tree)
  const wanted = steps[step.name]!.naively(world, step.at, step.options, step.byRecipe)
  const tally = wanted === undefined ? refused : taken
  tally[step.name] = (tally[step.name] ?? 0) + 1
  expect(next === undefined ? 'refused' : 'taken', shown).toBe(wanted === undefined ? 'refused' : 'taken')
  if (next === undefined || wanted === undefined) return state
  const now = beginnings(next, wanted, world, first)
  expect(described(next, now), shown).toEqual(wanted)
  expect(count(next), shown).toEqual(counted(wanted))
  expect(unsound(next), shown).toEqual([])
  expect(shapeIssues(next, sllm.kind, { ...kinds, ...sllm.kinds, Scaled }), shown).toEqual([])
  // What went in is as it was, and still works.
  expect(described(tree, first), shown).toEqual(world)
  const outputs = outputsOf(next)
  expect(outputs.every(Number.isFinite), shown).toBe(true)
  if (steps[step.name]!.keepsOutputs === true) expect(furthest(state.outputs, outputs), shown).toBeLessThan(2e-3)
  return { tree: next, world: wanted, first: now, outputs }
}

/** Whatever stands at the end is trained and merged, so that no plan ends without a merge of adapters that do something. */
const expectMerge = ({ tree, world }: State, seed: number): void => {
  const trained = perturbed(tree, key(seed), { style: 'float' })
  const merged = merge.knowing({ Scaled })(trained)
  const adapters = [...world.parameters.values()].flatMap((s) => s.adapter?.tag ?? [])
  for (const tag of adapters) merges[tag] = (merges[tag] ?? 0) + 1
  expect(furthest(outputsOf(trained), outputsOf(merged)), adapters.join()).toBeLessThan(2e-3)
  expect([...places(merged)].filter((p) => isWrappedWeight(p.node))).toEqual([])
}

const lossOf = (tree: unknown): Tensor => sum(sllm.apply(tree as never, ids, { kinds: { Scaled } }))

/** Every trainable parameter has a gradient of finite numbers, and nothing else has one. */
const expectGradients = ({ tree }: State): void => {
  if (count(tree).trainable === 0) return
  const grads = libraryTools({ Scaled }).grad(tree, lossOf)
  expect(Object.keys(grads).toSorted()).toEqual(Object.keys(trainableOf(tree)).toSorted())
  for (const [label, g] of Object.entries(grads)) expect(read(g).every(Number.isFinite), label).toBe(true)
}

/** Through a file and back, what stands at the end computes the same to the last bit. */
const expectFile = ({ tree, outputs }: State): void => {
  expect(outputsOf(libraryTools({ Scaled }).throughFile(tree))).toEqual(outputs)
}

// Half a minute where nothing else runs.
const minutes = 5 * 60_000

once('the paths of the naive model are those of the SLLM', () => {
  const base = sllm.init({ ...sllm.config.seed, ...config }, key(0))
  expect(leafPlaces(base).map((p) => [showPath(p.path), p.node.value.shape])).toEqual(
    [...start.parameters].map(([path, { shape }]) => [path, shape]),
  )
})

test.prop([fc.array(planned, { minLength: 1, maxLength: 12 }), fc.nat(99)], {
  numRuns: runsOf(24 * Object.keys(steps).length),
})(
  'any plan of transforms does what a Map of paths does, refusals included',
  (plan, seed) => {
    scope(() => {
      const tree = sllm.init({ ...sllm.config.seed, ...config }, key(seed))
      const values: Beginnings = new Map<string, Tensor>(leafPlaces(tree).map((p) => [showPath(p.path), p.node.value]))
      const begin: State = { tree, world: start, first: values, outputs: outputsOf(tree) }
      const end = plan.reduce<State>((state, step) => expectStep(step, state), begin)
      expectFile(end)
      expectGradients(end)
      expectMerge(end, seed)
      // What was neither trained nor merged comes back as the very leaf that it was, codes included.
      const { parameters, nodes } = described(detach(end.tree), end.first)
      expect(parameters).toEqual(new Map([...end.world.parameters].map(([path, s]) => [path, bare(s)])))
      expect([...nodes.values()].every((a) => a === undefined)).toBe(true)
      return null
    })
    expect(plan.length).toBeGreaterThan(0)
  },
  minutes,
)

once('each transform was taken many times, and refused where it can be', () => {
  const total = (tally: Readonly<Record<string, number>>) => Object.values(tally).reduce((n, x) => n + x, 0)
  console.log(
    `plans: ${total(merges)} weights merged ${JSON.stringify(merges)}, ${total(taken)} steps taken ${JSON.stringify(taken)}, ${total(refused)} refused ${JSON.stringify(refused)}`,
  )
  expect(total(refused) / (total(taken) + total(refused))).toBeLessThan(0.6)
  for (const name of Object.keys(steps)) expect(taken[name] ?? 0, name).toBeGreaterThan(5)
  const tags = Object.values(steps).flatMap((step) => step.merges ?? [])
  for (const tag of tags) expect(merges[tag] ?? 0, tag).toBeGreaterThan(5)
  // A part without parameters there is hardly ever: all packed, or none at all.
  const never = ['freeze', 'unfreeze', 'train', 'bake', 'wear', 'requantize']
  for (const name of Object.keys(steps).filter((n) => !never.includes(n)))
    expect(refused[name] ?? 0, name).toBeGreaterThan(0)
})
