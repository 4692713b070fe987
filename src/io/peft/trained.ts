import { isParam } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { leafPlaces, showPath } from '../../tree/walk.ts'
import { familyNamed } from '../plan.ts'
import { reject } from '../issues.ts'
import { named } from './layers.ts'
import type { Biases } from './lora-config.ts'
import type { TrainedPart, WriteJob } from './method.ts'
import { isSavedWhole, namedLeaves, turnedFor } from './saved.ts'
import type { NamedLeaf } from './saved.ts'

/** What of the trained parameters is written under other keys than `modules_to_save`. */
export interface Taken {
  readonly paths: ReadonlySet<string>
  readonly tensors: ReadonlyMap<string, Tensor>
}

const none: Taken = { paths: new Set(), tensors: new Map() }

const leavesOf = ({ model, pretrained }: WriteJob): readonly NamedLeaf[] =>
  namedLeaves(model, familyNamed(pretrained.family))

/** Modules of the base all whose parameters are trained, outermost first; throws for a parameter in none of them. */
const wholeModules = (job: WriteJob, trained: readonly TrainedPart[]): readonly string[] => {
  const own = new Set(trained.map(({ path }) => path))
  const base = leafPlaces(job.model).filter(({ node }) => isParam(node))
  const under = (module: string): readonly string[] =>
    base.map(({ path }) => showPath(path)).filter((path) => path.startsWith(`${module}.`))
  const whole = new Set<string>()
  for (const { path } of trained) {
    const parts = path.split('.')
    const candidates = parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join('.'))
    const module = candidates.find((name) => under(name).every((leaf) => own.has(leaf)))
    if (module === undefined)
      reject(
        'UnsupportedAdapter',
        path,
        'a module that is trained as a whole, which PEFT saves under modules_to_save',
        'one of which this alone is trained',
        'Train the whole module, or save it with saveAdapter, which takes everything.',
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
      'PEFT cannot tell them apart: save it with saveAdapter, which takes everything.',
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
