import type { Tensor } from '../../tree/tensor.ts'
import type { Graph } from '../record.ts'

/** A graph made ready by an engine. */
export interface Executable {
  /** The results are new tensors; inputs are those of the graph, in their order. */
  readonly run: (inputs: readonly Tensor[]) => readonly Tensor[]
  /** Gives back what the engine keeps of the graph. */
  readonly free: () => void
}

/** Makes a graph ready, or says in one sentence why it cannot. */
export type Prepare = (graph: Graph) => Executable | string

let prepare: Prepare | undefined

/** What the engine in use makes of graphs; undefined where ops run as fast one by one. @internal */
export const preparation = (): Prepare | undefined => prepare

/** Says what an engine makes of graphs; each engine does so when it is chosen. @internal */
export const usePreparation = (next: Prepare | undefined): void => {
  prepare = next
}
