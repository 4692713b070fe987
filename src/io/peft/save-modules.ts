import { classifierHeads } from '../../model/head-names.ts'
import { scope, sameTensor } from '../../ops/index.ts'
import { ties, untie } from '../../tree/labels.ts'
import { withStatus, withValue } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import { hubCandidates } from '../hub/hub-names.ts'
import { reject } from '../issues.ts'
import { familyNamed } from '../hub/plan.ts'
import { edited } from './edit.ts'
import type { ReadJob } from './method.ts'
import type { Reader } from './reader.ts'
import { isSavedWhole, namedLeaves, turnedFor } from './saved.ts'
import type { NamedLeaf } from './saved.ts'
import type { Targeting } from './targets.ts'
import { otherModel } from './hints.ts'

type Job = ReadJob<Targeting & { readonly ensure_weight_tying?: boolean }>

/** The other places of a leaf that is tied. */
const others = (model: unknown, { node, path }: NamedLeaf): readonly string[] =>
  (ties(model)[node.label] ?? []).filter((other) => other !== path)

/** The model in which each leaf that is trained alone is one of its own: what it was tied to stays as it is. */
const asunder = (model: unknown, leaves: readonly NamedLeaf[]): unknown => {
  const paths = leaves.flatMap((leaf) => {
    const tied = others(model, leaf)
    return tied.length === 0 ? [] : [leaf.path, ...tied].filter((path) => path !== leaf.node.label)
  })
  return paths.length === 0 ? model : untie(model, (path) => paths.includes(path))
}

/** Puts the modules that an adapter carries as a whole, trained in full, in place of the base's. */
export const saveWholeModules = (model: unknown, job: Job): unknown => {
  const names = job.config.modules_to_save ?? []
  if (names.length === 0) return model
  const chosen = (tree: unknown): readonly NamedLeaf[] =>
    namedLeaves(tree, familyNamed(job.pretrained.family)).filter(({ path }) => isSavedWhole(names, path))
  // PEFT adds both names to the configuration of every classifier, whichever its head has.
  if (chosen(model).length === 0 && !names.every((name) => classifierHeads.includes(name)))
    reject(
      'NoMatch',
      job.at('modules_to_save'),
      'the names of modules of this model',
      JSON.stringify(names).slice(0, 200),
      otherModel,
    )
  const follow = job.config.ensure_weight_tying === true
  const apart = follow ? model : asunder(model, chosen(model))
  const all = new Map(namedLeaves(apart, familyNamed(job.pretrained.family)).map((leaf) => [leaf.path, leaf]))
  const edits = chosen(apart).flatMap((leaf) => {
    const stored = job.tensor(leaf.module, leaf.name, leaf.shape)
    const node = withStatus(withValue(leaf.node, turnedFor(leaf, stored)), 'trainable')
    // What stays tied is one leaf in all its places, and PEFT writes it at each.
    const tied = others(apart, leaf)
    for (const { module, name, shape, path } of tied.flatMap((place) => all.get(place) ?? [])) {
      const copy = job.maybe(module, name, shape)
      if (copy !== undefined && !sameTensor(copy, stored))
        reject(
          'UnsupportedAdapter',
          job.at('ensure_weight_tying'),
          `the same numbers for ${leaf.path} and ${path}`,
          'others',
          'Train them apart.',
        )
    }
    return [leaf.path, ...tied].map((path): readonly [string, () => Param] => [path, () => node])
  })
  return edited(apart, new Map(edits))
}

const copies = /\.(base_layer|original_module|modules_to_save)\./

/**
 * Tensors that repeat what is known already: of the base, which must be this one's, and of modules saved as a whole, which PEFT
 * writes up to three times over.
 */
export const requireCopies = (model: unknown, job: Job, reader: Reader): void => {
  const unused = reader.unused()
  if (unused.length === 0) return
  const family = familyNamed(job.pretrained.family)
  const byName = (tree: unknown): ReadonlyMap<string, NamedLeaf> =>
    new Map(namedLeaves(tree, family).map((leaf) => [`${leaf.module}.${leaf.name}`, leaf]))
  const [base, now] = [byName(job.model), byName(model)]
  for (const name of unused) {
    const which = copies.exec(name)?.[1]
    const leaf = hubCandidates(name.replace(copies, '.'), family.body)
      .map((candidate) => (which === 'modules_to_save' ? now : base).get(candidate))
      .find((found) => found !== undefined)
    if (leaf === undefined) continue
    const value = reader.global(hubCandidates(name, family.body)[0] ?? name)
    if (which === 'original_module') continue
    const same = scope(
      () => value.shape.join() === leaf.shape.join() && sameTensor(turnedFor(leaf, value), leaf.node.value),
    )
    if (!same)
      reject(
        'OtherBase',
        reader.place(name),
        `what this base has at ${leaf.path}, which this adapter repeats`,
        value.shape.join() === leaf.shape.join() ? 'other numbers' : `[${value.shape.join(', ')}]`,
        'Load the base that the adapter was trained on; one whose vocabulary was resized must be saved on its own first.',
      )
  }
}
