import { reachable, release, scope } from '../ops/index.ts'
import { isOwned } from '../ops/internal.ts'
import type { Tensor } from '../tree/tensor.ts'

/** Knows which tensors a loop has made itself, so that it frees no other. @internal */
export interface Owned {
  /** Runs `f` in a scope; what it allocated and its result holds is the loop's to free. */
  readonly make: <T>(f: () => T) => T
  /** Frees what the loop made of `old`, unless `keep` holds it too. */
  readonly drop: (old: unknown, keep: unknown) => void
  /** From now on somebody else's to free. */
  readonly handOut: (x: unknown) => void
  /** Frees all that the loop made and has not handed out. */
  readonly dropAll: () => void
}

/** @internal */
export const owned = (): Owned => {
  const own = new Set<Tensor>()
  const drop = (old: unknown, keep: unknown): void => {
    const kept = new Set(reachable(keep))
    const gone = reachable(old).filter((t) => own.has(t) && !kept.has(t))
    for (const t of gone) own.delete(t)
    release(gone, { keep: [] })
  }
  return {
    make: (f) =>
      scope(() => {
        const made = f()
        // Asked inside the scope: a tensor that a loss or an optimiser keeps for itself is not in it.
        for (const t of reachable(made)) if (isOwned(t)) own.add(t)
        return made
      }),
    drop,
    handOut: (x) => {
      for (const t of reachable(x)) own.delete(t)
    },
    dropAll: () => drop([...own], []),
  }
}
