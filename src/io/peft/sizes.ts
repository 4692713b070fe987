import type { Weight } from '../../kind/index.ts'
import { untie } from '../../tree/labels.ts'
import { isParam } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import { innermost, isPacked, labelOf } from '../../tree/wrap.ts'
import { familyNamed } from '../hub/plan.ts'
import type { ReadJob } from './method.ts'
import type { Module } from './modules.ts'

/** A module that an adapter is put on, with its weight as our layers hold it. */
export interface Target extends Module {
  readonly weight: Weight
  /** The label that what is put on the weight begins with. */
  readonly label: string
  /** [in, out] of a matrix, [rows, width] of a table. */
  readonly rows: number
  readonly columns: number
  /** Whether PyTorch holds the weight as [in, out] too. */
  readonly untransposed: boolean
  /** Whether B·A of a file is the change of the weight as our layers hold it, and not of its transpose. */
  readonly swapped: boolean
}

/** Modules with their weights and sizes. */
export const sizedTargets = (
  { nodes, pretrained }: Pick<ReadJob<unknown>, 'nodes' | 'pretrained'>,
  modules: readonly Module[],
): readonly Target[] => {
  const { untransposed } = familyNamed(pretrained.family)
  return modules.map((module) => {
    const path = `${module.path}.weight`
    const weight = nodes.get(path) as Weight
    const bare = innermost(weight)
    const [rows = 0, columns = 0] = isPacked(bare) ? [bare.rows, bare.columns] : isParam(bare) ? bare.value.shape : []
    // A head that shares the table of an embedding has its label too, and what is put on either must not.
    const isHead = module.use === 'head'
    const label = isHead ? path : labelOf(weight)
    return {
      ...module,
      weight,
      label,
      rows,
      columns,
      untransposed: untransposed?.test(path) === true,
      swapped: isHead,
    }
  })
}

/** The heads that share the table of the embedding at a path, whether they are one leaf with it still or were parted. */
export const headsOf = (
  { nodes, modules }: Pick<ReadJob<unknown>, 'nodes' | 'modules'>,
  path: string,
): readonly Module[] => {
  const tensorAt = (module: string): unknown => (innermost(nodes.get(`${module}.weight`)) as Partial<Param>).value
  return modules.filter((module) => module.use === 'head' && tensorAt(module.path) === tensorAt(path))
}

/** The base with the heads apart whose table, or the embedding's, is adapted alone: the two are no longer one weight. */
export const parted = (
  job: Pick<ReadJob<unknown>, 'model' | 'nodes' | 'modules'>,
  targets: readonly Module[],
): unknown => {
  const heads = targets.flatMap((module) => (module.use === 'linear' ? [] : [module, ...headsOf(job, module.path)]))
  const paths = new Set(heads.filter(({ use }) => use === 'head').map(({ path }) => `${path}.weight`))
  return paths.size === 0 ? job.model : untie(job.model, (path) => paths.has(path))
}
