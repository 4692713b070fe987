import { isParam } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { leafPlaces, showPath } from '../../tree/walk.ts'
import { familyNamed } from '../hub/plan.ts'
import { reject } from '../issues.ts'
import { named } from './layers.ts'
import type { Biases } from './lora-config.ts'
import type { TrainedPart, WriteJob } from './method.ts'
import { isSavedWhole, namedLeaves, turnedFor } from './saved.ts'
import type { NamedLeaf } from './saved.ts'
import { saveOurs } from './hints.ts'

/** What of the trained parameters is written under other keys than `modules_to_save`. */
export interface Taken {
  readonly paths: ReadonlySet<string>
  readonly tensors: ReadonlyMap<string, Tensor>
}

const none: Taken = { paths: new Set(), tensors: new Map() }

const leavesOf = ({ model, pretrained }: WriteJob): readonly NamedLeaf[] =>
  namedLeaves(model, familyNamed(pretrained.family))

/** The modules that a parameter lies in, outermost first. */
const around = (path: string): readonly string[] => [...path.matchAll(/\./g)].map(({ index }) => path.slice(0, index))

/** How many of some parameters lie in each module. */
const countsOf = (paths: readonly string[]): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const module of paths.flatMap(around)) counts.set(module, (counts.get(module) ?? 0) + 1)
  return counts
}

/** Modules of the base all whose parameters are trained, outermost first; throws for a parameter in none of them. */
const wholeModules = (job: WriteJob, trained: readonly TrainedPart[]): readonly string[] => {
  const all = countsOf(
    leafPlaces(job.model)
      .filter(({ node }) => isParam(node))
      .map(({ path }) => showPath(path)),
  )
  const own = countsOf(trained.map(({ path }) => path))
  const whole = new Set<string>()
  for (const { path } of trained) {
    const module = around(path).find((name) => own.get(name) === all.get(name))
    if (module === undefined)
      reject(
        'UnsupportedAdapter',
        path,
        'a module that is trained as a whole, which PEFT saves under modules_to_save',
        'one of which this alone is trained',
        `Train the whole module. ${saveOurs}`,
      )
    else whole.add(module)
  }
  return [...whole]
}

/** `modules_to_save` and its tensors, for what a method did not write itself. */
export const writeWholeModules = (
  job: WriteJob,
  taken: ReadonlySet<string>,
): { readonly names: readonly string[]; readonly tensors: ReadonlyMap<string, Tensor> } => {
  const rest = job.trained.filter(({ path }) => !taken.has(path))
  const names = wholeModules(job, rest).toSorted()
  const own = new Set(rest.map(({ path }) => path))
  const leaves = leavesOf(job).filter(({ path }) => own.has(path))
  // PEFT asks for the end of a name: another module may end in it too.
  const other = leavesOf(job).find(({ path }) => isSavedWhole(names, path) && !own.has(path))
  if (other !== undefined)
    reject(
      'UnsupportedAdapter',
      other.path,
      'a trained parameter, since its module ends in the name of one that is saved as a whole',
      'a frozen one',
      `PEFT cannot tell them apart. ${saveOurs}`,
    )
  return { names, tensors: named(leaves.map((leaf) => [leaf.module, leaf.name, turnedFor(leaf, leaf.node.value)])) }
}

/** Which biases are trained, in PEFT's word for it, and their tensors; others are left to `modules_to_save`. */
export const biasesOf = (
  job: WriteJob,
  adapted: readonly string[],
): { readonly bias: Biases; readonly taken: Taken } => {
  const own = new Set(job.trained.map(({ path }) => path))
  const modules = new Set(adapted)
  const all = leavesOf(job).filter(({ name }) => name === 'bias')
  const near = all.filter(({ module }) => modules.has(module))
  // A module that is saved as a whole has its bias with it.
  const rest = leavesOf(job)
    .filter(({ name, path }) => name !== 'bias' && own.has(path))
    .map(({ module }) => module)
  const free = all.filter(({ module }) => !rest.includes(module))
  const take = (bias: Biases, chosen: readonly NamedLeaf[]) => ({
    bias,
    taken: {
      paths: new Set(chosen.map(({ path }) => path)),
      tensors: named(
        chosen.map(({ module, node }) => [module, modules.has(module) ? 'base_layer.bias' : 'bias', node.value]),
      ),
    },
  })
  if (near.length === 0 || !near.every(({ path }) => own.has(path))) return { bias: 'none', taken: none }
  return free.length > near.length && free.every(({ path }) => own.has(path))
    ? take('all', free)
    : take('lora_only', near)
}
