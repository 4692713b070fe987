import { sameTensor, tensor } from '../../ops/index.ts'
import { TokenRowsKind } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { edited, wrapWith } from './edit.ts'
import type { TokenIds } from './lora-config.ts'
import type { ReadJob } from './method.ts'
import type { Module } from './modules.ts'
import { headsOf, sizedTargets } from './sizes.ts'
import type { Target } from './sizes.ts'
import { otherModel } from './hints.ts'

type Job = ReadJob<unknown>

const named = ({ modules, at }: Job, name: string, key: string): Module =>
  // PEFT asks for the end of a name here, with no dot before it.
  modules.find((module) => module.use !== undefined && module.path.endsWith(name)) ??
  reject('NoMatch', at(key), 'the names of modules of this model', name, otherModel)

const checkIds = ({ at }: Job, ids: readonly number[], { rows, path }: Target, key: string): void => {
  const seen = new Set<number>()
  const wrong = ids.find((id) => !Number.isSafeInteger(id) || id < 0 || id >= rows || seen.size === seen.add(id).size)
  if (ids.length === 0 || wrong !== undefined)
    reject(
      'BadConfig',
      at(key),
      `ids from 0 to ${rows - 1}, of ${path}, each once`,
      wrong === undefined ? 'none' : String(wrong),
      otherModel,
    )
}

/** Puts the rows of trained tokens in place of an embedding's own; a head that shares the table sees them too. */
export const rowsOn = (
  model: unknown,
  job: Job,
  module: Module,
  {
    ids,
    key,
    prefix,
  }: { readonly ids: readonly number[]; readonly key: string; readonly prefix: '' | 'token_adapter.' },
): unknown => {
  const [target] = sizedTargets(job, [module]) as [Target]
  if (target.use === 'linear')
    reject('UnsupportedAdapter', job.at(key), 'an embedding', `the head ${module.path}`, 'Train its rows with LoRA.')
  checkIds(job, ids, target, key)
  const suffix = `${prefix}trainable_tokens_delta`
  const shape = [ids.length, target.columns]
  const rows = job.tensor(module.path, suffix, shape)
  const heads = target.use === 'embedding' ? headsOf(job, module.path) : []
  for (const head of heads) {
    const other = job.maybe(head.path, suffix, shape)
    if (other !== undefined && !sameTensor(rows, other))
      reject(
        'UnsupportedAdapter',
        job.at(key),
        `the same rows for ${module.path} and ${head.path}`,
        'others',
        'They share one table.',
      )
  }
  const at = tensor(Int32Array.from(ids), [ids.length], 'int32')
  const node = wrapWith(TokenRowsKind, { tokens: ids.length }, { ids: at, rows }, target.label)(target.weight)
  return edited(model, new Map([module, ...heads].map(({ path }) => [`${path}.weight`, () => node])))
}

/** The same for the tokens that a configuration of LoRA names, by module or for the token embedding. */
export const withTokens = (model: unknown, job: Job, tokens: TokenIds, prefix: 'token_adapter.'): unknown => {
  const key = 'trainable_token_indices'
  const first = job.modules.find(({ use }) => use === 'embedding')?.path ?? 'embed_tokens'
  const asked = Object.entries(Array.isArray(tokens) ? { [first]: tokens as readonly number[] } : tokens)
  const places = asked.map(([name, ids]) => ({ module: named(job, name, key), ids: ids as readonly number[] }))
  const shared = new Set(places.flatMap(({ module }) => headsOf(job, module.path).map(({ path }) => path)))
  for (const { module, ids } of places) {
    if (job.targets.some(({ path }) => path === module.path))
      reject('UnsupportedAdapter', job.at(key), 'an embedding that LoRA is not on', module.path, 'PEFT stacks both.')
    const same = places.every((p) => p.ids.join() === ids.join())
    if (shared.has(module.path) && !same)
      reject(
        'UnsupportedAdapter',
        job.at(key),
        'the same ids for a table and its head',
        module.path,
        'They share one table.',
      )
  }
  return places
    .filter(({ module }) => !shared.has(module.path))
    .reduce((now, { module, ids }) => rowsOn(now, job, module, { ids, key, prefix }), model)
}
