import { build } from '../io/own/build.ts'
import { encode } from '../io/own/encode.ts'
import type { Json } from '../io/json.ts'
import type { Kinds } from '../kind/index.ts'
import { adopt, read } from '../ops/index.ts'
import { adamw, start, step, valueAndGrad } from '../train/index.ts'
import { detach, merge } from '../transform/index.ts'
import { key } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Tools } from './trial.ts'

const copied = (t: Tensor | undefined): Tensor => {
  if (t === undefined) throw new TypeError('the encoded tree names a tensor that was not encoded')
  return adopt(read(t), t.shape)
}

/** The manifest through its text and the tensors through copies: all of saving and loading but the disk. */
const throughFile = (model: unknown): unknown => {
  const { tree, tensors } = encode(model, 'model')
  return build(JSON.parse(JSON.stringify(tree)) as Json, { tensor: (name) => copied(tensors.get(name)) })
}

// Decay large enough that a leaf it reaches surely moves.
const optimiser = adamw({ rate: 0.1, weightDecay: 0.5 })

/** The library's own functions, which a transform is checked together with unless others are given. */
export const libraryTools = (kinds: Kinds): Tools => ({
  merge: (model) => merge.knowing(kinds)(model),
  detach: (model) => detach(model),
  grad: (model, loss) => valueAndGrad<unknown, null>(loss, { unreached: 'zero' })(model, null).grads,
  train: (model, loss) =>
    step<unknown, null, unknown>(optimiser as never, loss, { unreached: 'zero' })(
      start<unknown, unknown>(model, optimiser as never, { key: key(0) }),
      null,
    ).model,
  throughFile,
})
