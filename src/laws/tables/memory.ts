import { memory, reachable } from '../../ops/index.ts'
import { EspalierError } from '../../tree/error.ts'
import { leafPlaces, showPath } from '../../tree/walk.ts'
import { all, fails, holds, verdict } from '../law.ts'
import type { Verdict } from '../law.ts'
import { structural } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'

/** Nothing stays allocated but what the result holds; when the transform refuses, nothing at all. */
export const leaksNothing: TransformLaw = structural({
  name: 'leaksNothing',
  says: 'Afterwards, live tensors = live before + those of the result that are new; after a refusal, as before.',
  equality: 'exact',
  check: ({ model, transform }) => {
    const known = new Set(reachable(model))
    const before = memory().tensors
    try {
      const made = reachable(transform(model)).filter((t) => !known.has(t)).length
      const found = memory().tensors - before
      return verdict(found === made, `${found} tensors more are alive, of which the result holds ${made}`)
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error
      const found = memory().tensors - before
      if (found !== 0) return fails(`it refused and left ${found} tensors behind`)
      throw error
    }
  },
})

const alive = (tree: unknown, after: string): Verdict => {
  const dead = leafPlaces(tree).find((p) => p.node.value.isDisposed)
  return verdict(dead === undefined, `after ${after}, the tensor at ${showPath(dead?.path ?? [])} is gone`)
}

/** Nobody else's tensor is freed: neither by the transform, nor by merging and detaching its result. */
export const freesNothingOfOthers: TransformLaw = structural({
  name: 'freesNothingOfOthers',
  says: 'It frees no tensor of the model it is given; neither do merge and detach.',
  equality: 'exact',
  check: ({ model, transform, tools, declared }) => {
    const after = transform(model)
    return all(
      () => alive(model, 'the transform'),
      () => {
        if (declared.merge === 'none') return holds
        tools.merge(after)
        return alive(after, 'merge')
      },
      () => {
        if (declared.detach === 'none') return holds
        tools.detach(after)
        return alive(after, 'detach')
      },
      () => alive(model, 'merge and detach'),
    )
  },
})
