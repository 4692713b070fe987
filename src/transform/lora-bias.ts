import { context } from '../nn/index.ts'
import { initialise, shapeOf } from '../kind/index.ts'
import type { Weight } from '../kind/index.ts'
import { ShiftedKind } from '../nn/index.ts'
import type { Shifted } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import { key } from '../tree/key.ts'
import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import { places, replaceAt, showPath } from '../tree/walk.ts'
import { formOf, isWrappedWeight, labelOf } from '../tree/wrap.ts'
import { scaleOf } from '../weight/index.ts'
import type { Lora } from '../weight/index.ts'

interface LinearNode<W = Weight> {
  readonly _tag: string
  readonly weight: W
}

const layers: Taste<LinearNode> = {
  verdict: (node) => {
    const { _tag, weight } = (node ?? {}) as Partial<LinearNode>
    if (_tag === 'Shifted') return 'adapted'
    if (_tag !== 'Linear' || formOf(weight) !== 'matrix') return 'into'
    return isWrappedWeight(weight) ? 'adapted' : 'take'
  },
  wants: 'a linear layer, whose output a bias can shift',
  baseOnly: true,
}

/** LoRA on the weights of linear layers, by what is given, and a shift of the outputs of each, times the same factor. */
export const shiftLayers =
  (onWeights: (at: Selector) => (model: unknown) => unknown) =>
  (model: unknown, at: Selector): unknown => {
    const chosen = targets(model, at, layers)
    const paths = new Set(chosen.map((p) => `${showPath(p.path)}.weight`.replace(/^\./, '')))
    return scope(() => {
      const tuned = onWeights((path) => paths.has(path))(model)
      const now = new Map([...places(tuned)].map((p) => [p.route.join('/'), p.node]))
      return replaceAt(
        tuned,
        chosen.map(({ node, route }) => {
          const base = now.get(route.join('/')) as LinearNode<Lora> & Shifted['base']
          const out = shapeOf(base.weight, context())[1] ?? 0
          const label = labelOf(node.weight).replace(/(^|\.)[^.]*$/, '')
          const fresh = initialise(ShiftedKind, { out }, key(0), { scale: scaleOf(base.weight) }, label) as Shifted
          const value: Shifted = { ...fresh, base }
          return { route, value }
        }),
      )
    })
  }
