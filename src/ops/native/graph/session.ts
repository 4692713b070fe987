import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Tensor } from '../../../tree/tensor.ts'
import type { Executable, Prepare } from '../../compile/executable.ts'
import type { Data } from '../../op.ts'
import type { Graph } from '../../record.ts'
import { asTensor, asTf, tf } from '../../tf.ts'
import type { Out } from './builder.ts'
import { hasNode, lower, withoutNode } from './lower.ts'
import { dataTypes, encodeSavedModel, graphTag } from './proto.ts'

interface Metadata {
  readonly id: number
}

/** What we use of tfjs-node's backend, read in version 4.22.0. */
interface NativeBackend {
  readonly binding: {
    readonly createTensor: (shape: readonly number[], dtype: number, data: Data) => number
    readonly deleteTensor: (id: number) => void
    readonly loadSavedModel: (directory: string, tags: string) => number
    readonly deleteSavedModel: (id: number) => void
    readonly runSavedModel: (
      id: number,
      tensors: readonly number[],
      inputs: string,
      outputs: string,
    ) => readonly Metadata[]
  }
  readonly getInputTensorIds: (tensors: readonly tf.Tensor[]) => number[]
  readonly createOutputTensor: (metadata: Metadata) => tf.Tensor
}

/**
 * A graph ready to run on the native engine, or why there is none: it is handed to TensorFlow once, as a saved model.
 *
 * Its results are new tensors; what it keeps, few and small, is freed by `free`.
 */
const executable = (graph: Graph): Executable | string => {
  const missing = withoutNode(graph)
  if (missing !== undefined) return `the op ${missing} has no node in graphs`
  const { written, feeds, inputs, captures, outputs } = lower(graph)
  const backend = tf.backend() as unknown as NativeBackend
  const { binding } = backend
  const model = load(binding, encodeSavedModel(written))
  // Past tfjs, which would count them among the tensors of the program.
  const own: number[] = []
  const free = (): void => {
    binding.deleteSavedModel(model)
    for (const id of own) binding.deleteTensor(id)
  }
  try {
    for (const { data, out } of feeds) own.push(binding.createTensor(out.shape, dataTypes[out.dtype], data))
  } catch (error) {
    free()
    throw error
  }
  const names = [...inputs, ...captures, ...feeds.map(({ out }) => out)].filter((out) => out !== undefined)
  const fed = names.map(({ name }) => name).join(',')
  // One name twice would be one tensor with two owners.
  const distinct = [...new Set(outputs.map(({ name }) => name))]
  const fetched = distinct.join(',')
  return {
    run: (given) => {
      const tensors = [
        ...given.filter((_, i) => inputs[i] !== undefined),
        ...graph.captures.map(({ tensor }) => tensor),
      ]
      const ids = [...backend.getInputTensorIds(tensors.map(here)), ...own]
      const made = binding
        .runSavedModel(model, ids, fed, fetched)
        .map((found) => asTensor(backend.createOutputTensor(found)))
      return shared(outputs, distinct, made)
    },
    free,
  }
}

/** How the native engine runs graphs. */
export const graphs: Prepare = { hasNode, executable }

const shared = (outputs: readonly Out[], distinct: readonly string[], made: readonly Tensor[]): readonly Tensor[] => {
  const taken = new Set<number>()
  return outputs.map(({ name, shape }) => {
    const at = distinct.indexOf(name)
    const first = !taken.has(at)
    taken.add(at)
    const found = made[at]!
    if (String(found.shape) !== String(shape))
      throw new Error(`a graph gave [${found.shape.join()}] for [${shape.join()}]`)
    return first ? found : asTensor(tf.clone(asTf(found)))
  })
}

/** The tensor, moved to this engine if it was made on another one. */
const here = (tensor: Tensor): tf.Tensor => {
  const own = asTf(tensor)
  const engine = tf.engine()
  if (engine.state.tensorInfo.get(own.dataId)?.backend !== tf.backend()) engine.moveData(tf.backend(), own.dataId)
  return own
}

const load = (binding: NativeBackend['binding'], bytes: Uint8Array): number => {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-graph-'))
  try {
    // TensorFlow takes a folder without variables for a damaged one.
    mkdirSync(join(directory, 'variables'))
    writeFileSync(join(directory, 'saved_model.pb'), bytes)
    return binding.loadSavedModel(directory, graphTag)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
