import { transpose } from '../../ops/index.ts'
import { isParam, withStatus, withValue } from '../../tree/leaf.ts'
import { leafPlaces, showPath } from '../../tree/walk.ts'
import { hubKey } from '../hub-names.ts'
import { isTransposed } from '../matching.ts'
import { familyNamed } from '../pretrained.ts'
import { reject } from '../issues.ts'
import { edited } from './edit.ts'
import type { ReadJob } from './method.ts'
import type { Targeting } from './targets.ts'

// PEFT adds both names to the configuration of every classifier, whichever its head has.
const usualHeads = ['classifier', 'score']

/** Puts the modules that an adapter carries as a whole, trained in full, in place of the base's. */
export const saveWholeModules = (model: unknown, { config, tensor, pretrained, at }: ReadJob<Targeting>): unknown => {
  const names = [...new Set(config.modules_to_save ?? [])]
  const family = familyNamed(pretrained.family)
  const edits = names.flatMap((name) => {
    const leaves = leafPlaces(model).filter(({ path }) => `.${showPath(path)}`.includes(`.${name}.`))
    if (leaves.length === 0 && !usualHeads.includes(name))
      reject(
        'NoMatch',
        at('modules_to_save'),
        'the names of modules of this model',
        JSON.stringify(name),
        'Is this the model that the adapter was trained on?',
      )
    return leaves.map(({ node, path }): readonly [string, (n: unknown) => unknown] => {
      const label = showPath(path)
      const cut = label.lastIndexOf('.')
      const value = tensor(label.slice(0, cut), hubKey(label).slice(cut + 1))
      const turned = isParam(node) && isTransposed(node.form, label, family)
      return [label, (leaf) => withStatus(withValue(leaf as never, turned ? transpose(value) : value), 'trainable')]
    })
  })
  return edited(model, new Map(edits))
}
