import * as E from 'fp-ts/lib/Either.js'
import { release } from '../../ops/index.ts'
import { giveBack } from '../../ops/internal.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { showPath } from '../../tree/walk.ts'
import { build, byName } from './build.ts'
import { differences } from './compare.ts'
import type { Strictness } from './compare.ts'
import type { StoredTensor } from '../tensors/dtypes.ts'
import { encode } from './encode.ts'
import { entries } from './entries.ts'
import { jsonOf, openFolder, readFolder, saveFolder } from './folder.ts'
import { inFile, io, issue, refuse } from '../issues.ts'
import type { Io, Issues } from '../issues.ts'
import type { Json } from '../json.ts'
import { fromStored } from '../tensors/safetensors.ts'

/** Tensors of what was read, which is used up by it; all or none: what was made before a failure is freed. @internal */
export const tensorsFrom = async (stored: ReadonlyMap<string, StoredTensor>): Promise<ReadonlyMap<string, Tensor>> => {
  const made = new Map<string, Tensor>()
  for (const [name, value] of stored) {
    const tensor = fromStored(value)
    if (E.isRight(tensor)) {
      made.set(name, tensor.right)
      // Or a model would be in memory twice until the garbage collector comes by.
      if (value.dtype === 'F32' || value.dtype === 'I32')
        await giveBack(value.data as Float32Array | Int32Array, tensor.right)
    } else {
      release([...made.values()], { keep: [] })
      refuse(tensor.left.map((issue) => ({ ...issue, path: name })))
    }
  }
  return made
}

/** A supply that has every tensor a checked tree asks for. @internal */
export const supplyOf =
  (tensors: ReadonlyMap<string, Tensor>) =>
  (name: string): Tensor =>
    tensors.get(name) as Tensor

/** Only an adapter may leave tensors to its base. */
const borrowed = (tree: Json, path: string): Issues =>
  [...entries(tree)]
    .filter(({ entry }) => entry.inBase !== undefined)
    .map((place) =>
      issue(
        'BadJson',
        inFile(path, showPath(place.path)),
        'a tensor of its own',
        'one of a base',
        'Another program wrote this file.',
      ),
    )

const save = (tree: unknown, folder: string, kind: 'model' | 'run'): Io<void> =>
  io(folder, async () => {
    const encoded = encode(tree, kind)
    // What cannot be read again is not written.
    byName(encoded.tree, jsonOf(folder, kind))
    await saveFolder(folder, kind, encoded.tree, {}, encoded.tensors)
  })

const load = (folder: string, kind: 'model' | 'run', like: unknown, strictness: Strictness): Io<unknown> =>
  io(folder, async () => {
    const document = await openFolder(folder, kind)
    refuse(borrowed(document.tree, jsonOf(folder, kind)))
    const known =
      like === undefined ? [] : differences(encode(like, kind, { outline: true }).tree, document.tree, strictness)
    const stored = await readFolder(folder, kind, document, known)
    return build(document.tree, { tensor: supplyOf(await tensorsFrom(stored)) })
  })

/** `loadModel` and `loadRun`: what comes back is typed only when something to check it against is given. */
export interface Load {
  (folder: string): Io<unknown>
  <M>(folder: string, like: M): Io<M>
}

/**
 * Saves a whole model, adapted or not, into a folder: `model.json`, which says what it is, and `model.safetensors`.
 *
 * The old files stay whole until the new ones are complete. Errors: `LabelClash`, `Disposed`, `BadData` for what is neither
 * tensor nor plain data, `BadName`, `FileSystem`.
 *
 * @example
 * ```ts
 * import { key, sllm } from 'espalier'
 * import { loadModel, orThrow, saveModel } from 'espalier/io'
 *
 * const model = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * await orThrow(saveModel(model, 'my-model'))
 * const again = await orThrow(loadModel('my-model', model))
 * again.out_head.weight.value.shape // => [128, 100]
 * ```
 */
export const saveModel = (model: unknown, folder: string): Io<void> => save(model, folder, 'model')

const likeModel: Strictness = {
  status: true,
  data: () => true,
  hint: 'The folder holds a model of another structure than the one it was to be like.',
}

/**
 * Loads a whole model; with `like`, any model of the type that is expected, all differences to it in structure are errors.
 *
 * Values of `like` do not matter: a shape and a dtype in place of each tensor will do. Errors: `FileSystem`, `WrongFormat`, `WrongVersion`, `BadJson`, `Damaged`, `Truncated`,
 * `MissingTensor`, `ExtraTensor`, `ShapeMismatch`, `LeafMismatch`, `DataMismatch`.
 *
 * @example
 * ```ts
 * import { param } from 'espalier'
 * import { loadModel, orThrow, saveModel } from 'espalier/io'
 * import { ones, zeros } from 'espalier/ops'
 *
 * const shared = param('table', 'tokens', ones([5, 3]))
 * await orThrow(saveModel({ embed: shared, head: shared }, 'tied'))
 * const like = { embed: shared, head: shared }
 * const again = await orThrow(loadModel('tied', like))
 * again.embed === again.head // => true
 * const other = await loadModel('tied', { embed: param('table', 'tokens', zeros([9, 3])) })()
 * other._tag === 'Left' && other.left.map((i) => i.path) // => ['embed', 'head']
 * ```
 */
export const loadModel: Load = (folder: string, like?: unknown): Io<never> =>
  load(folder, 'model', like, likeModel) as Io<never>

/**
 * Saves the state of a training run into a folder, `run.json` and `run.safetensors`, so that it resumes exactly.
 *
 * A run is plain data, models, and tensors in records; one tensor at several places is stored once. Errors: as `saveModel`,
 * but two states of one model may stand in a run, and numbers may be infinite or NaN.
 *
 * @example
 * ```ts
 * import { param } from 'espalier'
 * import { loadRun, orThrow, saveRun } from 'espalier/io'
 * import { item, scalar, zeros } from 'espalier/ops'
 *
 * const run = {
 *   model: { w: param('vector', 'w', zeros([2])) },
 *   state: { mean: { w: zeros([2]) }, step: scalar(7, 'int32') },
 *   best: Infinity,
 * }
 * await orThrow(saveRun(run, 'my-run'))
 * const again = await orThrow(loadRun('my-run', run))
 * item(again.state.step) // => 7
 * again.best // => Infinity
 * ```
 */
export const saveRun = (run: unknown, folder: string): Io<void> => save(run, folder, 'run')

const likeRun: Strictness = {
  status: true,
  // Counts and losses differ from one moment of a run to another; what its model is does not.
  data: ([first]) => first === 'model',
  hint: 'The folder holds a run of another model or optimiser than the one it was to be like.',
}

/**
 * Loads a training run; with `like`, such as a fresh run, differences in structure are errors. Errors: as `loadModel`.
 *
 * @example
 * ```ts
 * import { loadRun, orThrow, saveRun } from 'espalier/io'
 * import { item, scalar } from 'espalier/ops'
 *
 * await orThrow(saveRun({ count: scalar(3) }, 'a-run'))
 * const again = await orThrow(loadRun('a-run', { count: scalar(0) }))
 * item(again.count) // => 3
 * ```
 */
export const loadRun: Load = (folder: string, like?: unknown): Io<never> =>
  load(folder, 'run', like, likeRun) as Io<never>
