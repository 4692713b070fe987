import * as t from 'io-ts'
import { scope } from '../../ops/index.ts'
import type { Adaptable } from '../../transform/index.ts'
import type { Leaf } from '../../tree/leaf.ts'
import { isParam, withStatus } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { leaves, showPath } from '../../tree/walk.ts'
import { ties, untie } from '../../tree/labels.ts'
import { hinted, likeTuned, onBase, unique, valueIssues } from './adapter-misfits.ts'
import { supplyOf, tensorsFrom } from './checkpoint.ts'
import { build, byName } from './build.ts'
import { Sha256 } from '../codec.ts'
import { bare, differences } from './compare.ts'
import { encode } from './encode.ts'
import type { Encoded } from './encode.ts'
import { TreeCodec, entries, isEntry } from './entries.ts'
import type { Entry } from './entries.ts'
import { digestOfLeaf, fingerprintOf } from './fingerprint.ts'
import { jsonOf, openFolder, readFolder, saveFolder } from './folder.ts'
import { io, issue, refuse, reject } from '../issues.ts'
import type { Io, Issues } from '../issues.ts'
import type { Json } from '../json.ts'

/** What may be said when an adapter is saved. */
export interface SaveAdapterOptions {
  /** The transforms that made it, as data; kept as they are given. */
  readonly recipe?: unknown
  /** What else is to be kept with it, as data. */
  readonly notes?: unknown
}

/** What an adapter's file says without its tensors. */
export interface AdapterInfo {
  /** As it was given to `saveAdapter`; `null` when none was. */
  readonly recipe: unknown
  /** As they were given to `saveAdapter`; `null` when none were. */
  readonly notes: unknown
  /** SHA-256 over the labels, dtypes, shapes and values of the base. */
  readonly fingerprint: string
  /** Labels of the tensors it carries. */
  readonly carries: readonly string[]
}

/** The labels of the leaves that are the base's: reached without leaving any wrapper but through its `base`. */
const labelsOfBase = (tree: Json): ReadonlySet<string> =>
  new Set([...entries(bare(tree))].flatMap(({ entry }) => (entry._tag === '~tensor' ? [] : [entry.label])))

const mapEntries = (node: Json, f: (entry: Entry) => Json): Json => {
  if (isEntry(node)) return f(node)
  if (typeof node !== 'object' || node === null) return node
  return Array.isArray(node)
    ? (node as readonly Json[]).map((child) => mapEntries(child, f))
    : Object.fromEntries(Object.entries(node).map(([key, child]) => [key, mapEntries(child, f)]))
}

/** The tree of an adapter: what is frozen in the base stands there as a digest, everything else is carried. */
const referring = ({ tree }: Encoded, digests: ReadonlyMap<string, string>): Json =>
  mapEntries(tree, (entry) => {
    const digest = entry._tag === '~tensor' ? undefined : digests.get(entry.label)
    return { ...entry, ...(digest === undefined ? {} : { inBase: digest }) }
  })

const fingerprint = (tree: Json): string =>
  fingerprintOf(
    [...byName(tree, '').values()].flatMap(({ entry }) =>
      entry._tag === '~tensor' || entry.inBase === undefined
        ? []
        : [{ label: entry.label, dtype: entry.dtype, shape: entry.shape, digest: entry.inBase }],
    ),
  )

const bareTensors = (tree: Json): Issues =>
  [...entries(tree)]
    .filter(({ entry }) => entry._tag === '~tensor')
    .map(({ path }) =>
      issue(
        'BadLeaf',
        showPath(path),
        'a leaf',
        'a bare tensor',
        'Give it a label with constant(label, tensor), or use saveModel.',
      ),
    )

/**
 * Saves only what was added to a base: `adapter.json` and `adapter.safetensors`.
 *
 * Carried are the tensors of everything that wraps something, and those of the base that are trainable, such as a head
 * trained in full beside the adapter. The rest of the base is named by label and digest. Errors: `NothingToSave` and those
 * of `saveModel`.
 *
 * @example
 * ```ts
 * import { freeze, key, lora, pipe, sllm } from 'espalier'
 * import { orThrow, readAdapter, saveAdapter } from 'espalier/io'
 *
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = pipe(base, freeze, lora({ at: 'transformer_blocks.*.mlp.ln_1', rank: 2 }))
 * await orThrow(saveAdapter(tuned, 'my-adapter', { recipe: [{ freeze: {} }] }))
 * const { recipe, carries } = await orThrow(readAdapter('my-adapter'))
 * recipe // => [{ freeze: {} }]
 * carries.length // => 4
 * ```
 */
export const saveAdapter = (tuned: unknown, folder: string, options: SaveAdapterOptions = {}): Io<void> =>
  io(folder, async () => {
    const encoded = encode(tuned, 'model')
    refuse(bareTensors(encoded.tree))
    const ofBase = labelsOfBase(encoded.tree)
    const kept = leaves(tuned).filter(
      (leaf) => ofBase.has(leaf.label) && !(isParam(leaf) && leaf.status === 'trainable'),
    )
    const tree = referring(encoded, new Map(kept.map((leaf) => [leaf.label, digestOfLeaf(leaf)])))
    const references = new Set(kept.map(({ label }) => label))
    const carried = new Map([...encoded.tensors].filter(([name]) => !references.has(name)))
    if (carried.size === 0)
      reject(
        'NothingToSave',
        '',
        'something attached or trainable',
        'a frozen model without adapters',
        'Attach one first, or use saveModel for the whole.',
      )
    const said = encode({ recipe: null, ...options }, 'model')
    if (said.tensors.size > 0)
      reject(
        'BadData',
        'recipe',
        'plain data',
        'a tensor',
        'Recipe and notes are said beside the tensors; they hold none.',
      )
    await saveFolder(
      folder,
      'adapter',
      tree,
      { fingerprint: fingerprint(tree), ...(said.tree as Readonly<Record<string, Json>>) },
      carried,
    )
  })

const open = async (folder: string) => {
  const Notes = t.union([TreeCodec, t.undefined])
  const document = await openFolder(folder, 'adapter', { fingerprint: Sha256, recipe: TreeCodec, notes: Notes })
  const { fingerprint: claimed, ...said } = document.rest as {
    readonly fingerprint: string
    readonly recipe: Json
    readonly notes?: Json
  }
  return { document, said: { notes: null, ...said }, claimed, names: byName(document.tree, jsonOf(folder, 'adapter')) }
}

/**
 * Reads what an adapter says of itself, without a base: its recipe, the fingerprint of its base, what it carries.
 *
 * Errors: those of `loadModel`.
 *
 * @example
 * ```ts
 * import { freeze, key, lora, pipe, sllm } from 'espalier'
 * import { orThrow, readAdapter, saveAdapter } from 'espalier/io'
 *
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * await orThrow(saveAdapter(pipe(base, freeze, lora({ at: 'out_head', rank: 2 })), 'read-me'))
 * const { carries } = await orThrow(readAdapter('read-me'))
 * carries.toSorted() // => ['out_head.weight.a', 'out_head.weight.b']
 * ```
 */
export const readAdapter = (folder: string): Io<AdapterInfo> =>
  io(folder, async () => {
    const { said, claimed, names } = await open(folder)
    return {
      ...said,
      fingerprint: claimed,
      carries: [...names].filter(([, { entry }]) => entry.inBase === undefined).map(([name]) => name),
    }
  })

const leafOn =
  (base: ReadonlyMap<string, Leaf>) =>
  (entry: Entry): Leaf | undefined => {
    const leaf = entry.inBase === undefined || entry._tag === '~tensor' ? undefined : base.get(entry.label)
    return leaf !== undefined && isParam(leaf) && entry._tag === 'Param' ? withStatus(leaf, entry.status) : leaf
  }

/** `loadAdapter`: exact with the transform that made the adapter, "may be adapted anywhere" without. */
export interface LoadAdapter {
  <M>(base: M, folder: string): Io<Adaptable<M>>
  <M, T>(base: M, folder: string, like: (base: M) => T): Io<T>
}

/**
 * Puts a saved adapter back on its base, whose tensors are used and not copied.
 *
 * With `like`, the transform that the adapter was made with, what comes back has the type that it gives, and the file must
 * have the structure that it gives. Without, the type knows our own methods only, at any place. All that is wrong comes at
 * once: `MissingTensor`, `ExtraTensor`, `ShapeMismatch`, `LeafMismatch` and `DataMismatch` where the base is built otherwise,
 * `WrongBase` where it holds other values; further the errors of `loadModel`.
 *
 * @example
 * ```ts
 * import { flow, freeze, key, lora, sllm } from 'espalier'
 * import type { Sllm } from 'espalier'
 * import { loadAdapter, orThrow, saveAdapter } from 'espalier/io'
 *
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const adapt = (m: Sllm) => lora({ at: 'transformer_blocks.*.mlp.ln_1', rank: 2 })(freeze(m))
 * await orThrow(saveAdapter(adapt(base), 'adapter'))
 * const again = await orThrow(loadAdapter(base, 'adapter', adapt))
 * again.out_head.weight.value === base.out_head.weight.value // => true
 * const wrong = await loadAdapter(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(1)), 'adapter')()
 * wrong._tag === 'Left' && wrong.left[0]?._tag // => 'WrongBase'
 * ```
 */
export const loadAdapter: LoadAdapter = (whole: unknown, folder: string, like?: (base: never) => unknown): Io<never> =>
  io(folder, async () => {
    const { document, claimed, names } = await open(folder)
    const base = partedFor(document.tree, whole)
    const given = encode(base, 'model').tree
    const ofBase = new Map(leaves(base).map((leaf) => [leaf.label, leaf]))
    const built = differences(bare(document.tree), given, onBase)
    const known: Issues = unique([
      ...hinted([...built, ...valueIssues(names, ofBase)], document.tree, given),
      ...(like === undefined || built.length > 0 ? [] : likeIssues(() => like(base as never), document.tree)),
      ...(claimed === fingerprint(document.tree)
        ? []
        : [
            issue(
              'Damaged',
              jsonOf(folder, 'adapter'),
              claimed,
              'another fingerprint',
              'The file was changed after it was written.',
            ),
          ]),
    ])
    const tensors: ReadonlyMap<string, Tensor> = await tensorsFrom(await readFolder(folder, 'adapter', document, known))
    return build(document.tree, { tensor: supplyOf(tensors), leaf: leafOn(ofBase) }, base) as never
  })

// An adapter of one of two tied leaves was made on a base in which they were parted.
const partedFor = (tree: Json, base: unknown): unknown => {
  const wanted = new Map(
    [...entries(bare(tree))].flatMap(({ path, entry }) =>
      entry._tag === '~tensor' || entry.inBase === undefined ? [] : [[showPath(path), entry.label] as const],
    ),
  )
  const paths = Object.entries(ties(base)).flatMap(([label, at]) =>
    at.filter((path) => path !== label && wanted.get(path) === path),
  )
  return paths.length === 0 ? base : untie(base, (path) => paths.includes(path))
}

// What the transform draws here is only looked at.
const likeIssues = (tune: () => unknown, tree: Json): Issues =>
  differences(
    scope(() => encode(tune(), 'model').tree),
    tree,
    likeTuned,
  )
