import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { Attrs, Op } from '../op.ts'
import type { Graph } from '../record.ts'

/** A graph made ready by an engine. */
export interface Executable {
  /** The results are new tensors; inputs are those of the graph, in their order. */
  readonly run: (inputs: readonly Tensor[]) => readonly Tensor[]
  /** Gives back what the engine keeps of the graph. */
  readonly free: () => void
}

/** What an engine makes of graphs. */
export interface Prepare {
  /** Whether its graphs have a node for an op; what others are composed of stands in their place. */
  readonly hasNode: (op: Op, inputs: readonly TensorSpec[], attrs: Attrs) => boolean
  /** Makes a graph ready, or says in one sentence why it cannot. */
  readonly executable: (graph: Graph) => Executable | string
}

let prepare: Prepare | undefined

/** What the engine in use makes of graphs; undefined where ops run as fast one by one. @internal */
export const preparation = (): Prepare | undefined => prepare

/** Says what an engine makes of graphs; each engine does so when it is chosen. @internal */
export const usePreparation = (next: Prepare | undefined): void => {
  prepare = next
}
