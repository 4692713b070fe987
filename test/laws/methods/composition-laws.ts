import { adapterOf, detach, leafPlaces, sameStructure, wear } from '../../../src/index.ts'
import { all, perturbed, structural, verdict } from '../../../src/laws/index.ts'
import type { TransformLaw } from '../../../src/laws/index.ts'
import { salted } from '../../../src/laws/models.ts'

const sameLeaves = (a: unknown, b: unknown): boolean => {
  const [x, y] = [leafPlaces(a), leafPlaces(b)]
  return x.length === y.length && x.every((p, i) => p.node === y[i]!.node && p.route.join() === y[i]!.route.join())
}

/** What was put on is a value: taken off and put on again it is the same model, on the same tensors. */
export const isAValue: TransformLaw = structural({
  name: 'isAValue',
  says: 'wear(adapterOf(f(m)))(detach(f(m))) is f(m), leaf by leaf the same objects.',
  equality: 'reference',
  check: (trial) => {
    const tuned = perturbed(trial.transform(trial.model), salted(trial, 'tuned'), trial)
    const worn: unknown = wear(adapterOf<unknown>(tuned))(detach(tuned))
    return all(
      () => verdict(sameLeaves(worn, tuned), 'other leaves, or at other places'),
      () => verdict(sameStructure(worn, tuned), 'the structure or the plain data differ'),
    )
  },
})
