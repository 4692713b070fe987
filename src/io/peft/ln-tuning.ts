import { withStatus, withValue } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import { familyNamed } from '../hub/plan.ts'
import { reject } from '../issues.ts'
import { edited } from './edit.ts'
import { named } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { namedLeaves, turnedFor } from './saved.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'
import { targetNames } from './target-names.ts'
import { otherModel } from './hints.ts'

type NormsConfig = Pick<Targeting, 'target_modules' | 'exclude_modules' | 'modules_to_save'>

const { target_modules, exclude_modules, modules_to_save } = targetingProps

const isNorm = (tag: string): boolean => /norm/i.test(tag)

/** Scale and shift of norms trained in full. */
export const lnTuningMethod: PeftMethod<NormsConfig> = {
  type: 'LN_TUNING',
  spec: { props: { target_modules, exclude_modules, modules_to_save }, defaults: {} },
  read: ({ model, config, targets, tensor, at, pretrained }) => {
    const chosen = new Set(targets.map(({ path }) => path))
    const leaves = namedLeaves(model, familyNamed(pretrained.family)).filter(({ module }) => chosen.has(module))
    const empty = targets.find(({ path }) => leaves.every(({ module }) => module !== path))
    if (targets.length === 0 || empty !== undefined)
      reject(
        'NoMatch',
        at('target_modules'),
        'the names of norms of this model',
        empty?.path ?? JSON.stringify(config.target_modules).slice(0, 200),
        otherModel,
      )
    const edits = leaves.map((leaf): readonly [string, (node: unknown) => unknown] => {
      const value = turnedFor(leaf, tensor(leaf.module, `ln_tuning_layers.${leaf.name}`, leaf.shape))
      return [leaf.path, (node) => withStatus(withValue(node as Param, value), 'trainable')]
    })
    return edited(model, new Map(edits))
  },
  write: (job) => {
    if (job.parts.length > 0) return undefined
    const trained = new Set(job.trained.map(({ path }) => path))
    const leaves = namedLeaves(job.model, familyNamed(job.pretrained.family))
    const norms = job.modules
      .filter(({ tag, path }) => {
        const own = leaves.filter(({ module }) => module === path)
        return isNorm(tag) && own.length > 0 && own.every((leaf) => trained.has(leaf.path))
      })
      .map(({ path }) => path)
    if (norms.length === 0) return undefined
    const taken = leaves.filter(({ module }) => norms.includes(module))
    return {
      config: {
        exclude_modules: null,
        modules_to_save: null,
        target_modules: targetNames(job, norms).target_modules,
      },
      tensors: named(
        taken.map((leaf) => [leaf.module, `ln_tuning_layers.${leaf.name}`, turnedFor(leaf, leaf.node.value)]),
      ),
      taken: new Set(taken.map(({ path }) => path)),
    }
  },
}
