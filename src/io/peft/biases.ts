import { withStatus, withValue } from '../../tree/leaf.ts'
import { familyNamed } from '../hub/plan.ts'
import { edited } from './edit.ts'
import type { Biases } from './lora-config.ts'
import type { ReadJob } from './method.ts'
import { isSavedWhole, namedLeaves } from './saved.ts'
import type { Targeting } from './targets.ts'

/** Puts the biases that an adapter trained in place of the base's; those of adapted layers lie under `base_layer`. */
export const readBiases = (model: unknown, job: ReadJob<Targeting>, which: Biases): unknown => {
  if (which === 'none') return model
  const adapted = new Set(job.targets.map(({ path }) => path))
  const whole = job.config.modules_to_save ?? []
  const chosen = namedLeaves(job.model, familyNamed(job.pretrained.family)).filter(
    ({ module, name, path }) =>
      name === 'bias' && (adapted.has(module) || (which === 'all' && !isSavedWhole(whole, path))),
  )
  const edits = chosen.map(({ path, module, shape }): readonly [string, (leaf: unknown) => unknown] => {
    const value = job.maybe(module, 'base_layer.bias', shape) ?? job.tensor(module, 'bias', shape)
    return [path, (leaf) => withStatus(withValue(leaf as never, value), 'trainable')]
  })
  return edited(model, new Map(edits))
}
