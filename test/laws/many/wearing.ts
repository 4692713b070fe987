import { bytesAtRest, detach, equal, leafPlaces, leaves, relabel, sameStructure, wear } from '../../../src/index.ts'
import { all, numeric, structural, verdict } from '../../../src/laws/index.ts'
import { memory } from '../../../src/ops/index.ts'
import { loras } from './puts.ts'
import { drawnAdapter, sameLeaves, sameOutput } from './subjects.ts'
import type { Hands, Laws } from './subjects.ts'

/** Putting on, switching, names and memory. */
export const wearingLaws = (hands: Hands) => {
  const wearRestores = structural({
    name: 'wearRestores',
    says: 'An adapter put on its base is the model it was taken of, leaf by leaf the same objects.',
    equality: 'reference',
    check: (trial) => {
      const { base, tuned, adapter } = drawnAdapter(trial, 'a')
      const worn = hands.wear(adapter)(base)
      return all(
        () => verdict(sameLeaves(worn, tuned), 'other leaves, or at other places'),
        () => verdict(sameStructure(worn, tuned), 'the structure or the plain data differ'),
      )
    },
  })

  const switchingIsClean = structural({
    name: 'switchingIsClean',
    says: 'Switching to another adapter and back is where one was, the base is untouched, and nothing is allocated.',
    equality: 'reference',
    check: (trial) => {
      const { base, adapter: a } = drawnAdapter(trial, 'a')
      const { adapter: b } = drawnAdapter(trial, 'b')
      const before = leafPlaces(base).map((p) => p.node)
      const tensors = memory().tensors
      const first = hands.wear(a)(base)
      const other = hands.wear(b)(base)
      const again = hands.wear(a)(base)
      return all(
        () => verdict(memory().tensors === tensors, `${memory().tensors - tensors} tensors were allocated`),
        () => verdict(sameLeaves(first, again), 'the way back leads elsewhere'),
        () => verdict(sameStructure(first, again), 'plain data of the one in between stayed'),
        () => verdict(sameStructure(other, wear(b)(base)), 'the one in between is not what it is put on fresh'),
        () =>
          verdict(
            leafPlaces(base).every((p, i) => p.node === before[i]),
            'the base has other leaves',
          ),
      )
    },
  })

  const detachGivesBase = structural({
    name: 'detachGivesBase',
    says: 'What an adapter was put on comes back whole when everything is taken off, unless it was trained in full.',
    equality: 'reference',
    check: (trial) => {
      const { base, adapter } = drawnAdapter(trial, 'a', loras)
      const off = detach(hands.wear(adapter)(base))
      return verdict(sameLeaves(off, base) && sameStructure(off, base), 'another base')
    },
  })

  const namesChangeNothing = numeric({
    name: 'namesChangeNothing',
    says: 'Under any name an adapter gives the same outputs, and without the name in front the same labels.',
    equality: 'bitwise',
    check: (trial) => {
      const { base, adapter } = drawnAdapter(trial, 'a')
      const { adapter: other } = drawnAdapter(trial, 'b')
      const named = hands.wearEach(base, { fr: adapter, '': other })['fr']
      const bare = wear(adapter)(base)
      return all(
        () => sameOutput(trial, bare, named),
        () =>
          verdict(
            equal(
              relabel(named, (l) => l.replace(/^fr\./, '')),
              bare,
            ),
            'labels differ by more than the name',
          ),
      )
    },
  })

  const baseOnce = structural({
    name: 'baseOnce',
    says: 'Any number of adapters on one base take the bytes of the base once, and each its own.',
    equality: 'exact',
    check: (trial) => {
      const made = Array.from({ length: 4 }, (_, i) => drawnAdapter(trial, String(i)))
      const adapters = Object.fromEntries(made.map(({ adapter }, i) => [`a${i}`, adapter]))
      // Two may train the same leaf of the base in full; each then has it for itself, and no model has the base's own.
      const models = hands.wearEach(trial.model, adapters)
      const held = bytesAtRest({ base: trial.model, models })
      const wanted = bytesAtRest(trial.model) + made.reduce((n, { adapter }) => n + bytesAtRest(adapter), 0)
      return verdict(held === wanted, `${held} bytes instead of ${wanted}`)
    },
  })

  const paddingChangesNothing = numeric({
    name: 'paddingChangesNothing',
    says: 'A LoRA of a higher rank, the rest of it zero, gives the same outputs, whatever its scaling.',
    equality: 'tolerance',
    check: (trial) => {
      const { base, adapter } = drawnAdapter(trial, 'a', loras)
      const wide = hands.padRank(adapter, 5)
      return all(
        () => sameOutput(trial, wear(adapter)(base), wear(wide)(base), 1e-6),
        () =>
          verdict(
            leaves(wide).every(({ value }) => value.shape.includes(5)),
            'a LoRA of another rank',
          ),
      )
    },
  })

  return {
    wearRestores,
    switchingIsClean,
    detachGivesBase,
    namesChangeNothing,
    baseOnce,
    paddingChangesNothing,
  } satisfies Laws
}
