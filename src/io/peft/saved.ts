import { transpose } from '../../ops/index.ts'
import { isParam } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { leafPlaces, showPath } from '../../tree/walk.ts'
import { hubKey } from '../hub/hub-names.ts'
import { isTransposed } from '../hub/matching.ts'
import type { AnyFamily } from '../../model/family.ts'

/** A parameter of a model, and what files call it. */
export interface NamedLeaf {
  readonly path: string
  readonly module: string
  /** What its name in files ends in: `weight` or `bias`. */
  readonly name: string
  readonly node: Param
  /** Whether files hold it the other way round. */
  readonly turned: boolean
  /** As files hold it. */
  readonly shape: readonly number[]
}

/** Every parameter by its path, tied ones at each place. */
export const namedLeaves = (model: unknown, family: AnyFamily): readonly NamedLeaf[] =>
  leafPlaces(model).flatMap(({ node, path }) => {
    if (!isParam(node)) return []
    const label = showPath(path)
    const cut = label.lastIndexOf('.')
    const turned = isTransposed(node.form, label, family)
    const { shape } = node.value
    return [
      {
        path: label,
        module: label.slice(0, Math.max(0, cut)),
        name: hubKey(label).slice(cut + 1),
        node,
        turned,
        shape: turned ? shape.toReversed() : shape,
      },
    ]
  })

/** A tensor of a file as a leaf holds it, and the other way round. */
export const turnedFor = ({ turned }: NamedLeaf, value: Tensor): Tensor => (turned ? transpose(value) : value)

/** Whether a path lies in a module that is saved as a whole: PEFT asks for the end of a name here, with no dot before it. */
export const isSavedWhole = (names: readonly string[], path: string): boolean =>
  names.length > 0 &&
  [...path.matchAll(/\./g)].some(({ index }) =>
    names.some((name) => name !== '' && path.slice(0, index).endsWith(name)),
  )
