import type { Linear, Shifted } from '../nn/index.ts'
import { add, mul } from '../ops/index.ts'
import { withValue } from '../tree/leaf.ts'
import { places, replaceAt } from '../tree/walk.ts'
import { isWrapper } from '../tree/wrap.ts'

/** The model with each trained shift in the bias of the layer that it shifts, where that layer has one. @internal */
export const foldShifts = (model: unknown): unknown =>
  replaceAt(
    model,
    [...places(model)].flatMap(({ node, route }) => {
      if (!isWrapper(node) || node._tag !== 'Shifted') return []
      const { base, shift, scale } = node as Shifted<Linear>
      const bias = base._tag === 'Linear' ? base.bias : null
      if (bias === null) return []
      return [{ route, value: { ...base, bias: withValue(bias, add(bias.value, mul(shift.value, scale))) } }]
    }),
  )
