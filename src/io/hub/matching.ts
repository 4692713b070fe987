import { join } from 'node:path'
import type { ConstantField, ParamField } from '../../kind/index.ts'
import { growPlan } from '../../model/family.ts'
import type { AnyFamily, Plan } from '../../model/family.ts'
import type { Issue } from '../../tree/error.ts'
import { didYouMean } from '../../tree/nearest.ts'
import type { StoredEntry } from '../tensors/header.ts'
import { hubCandidates, hubKey } from './hub-names.ts'
import { clip, inFile, issue, refuse } from '../issues.ts'
import type { CheckpointEntry } from '../tensors/shards.ts'

/** A parameter that a plan needs from a file. */
export interface Wanted {
  readonly label: string
  readonly form: ParamField['form']
  /** As our layers hold it. */
  readonly shape: readonly number[]
  /** Whether the file holds it the other way round. */
  readonly transposed: boolean
}

/** Every parameter that a plan needs, by its name in files. */
export const wantedBy = (plan: Plan, family: AnyFamily): ReadonlyMap<string, Wanted> => {
  const wanted = new Map<string, Wanted>()
  growPlan(plan, (field: ParamField | ConstantField, label, shape) => {
    if (field._tag === 'ParamField')
      wanted.set(hubKey(label), { label, form: field.form, shape, transposed: isTransposed(field.form, label, family) })
    return label
  })
  return wanted
}

/** Whether files of a family hold a parameter as [out, in], where our layers hold [in, out]. */
export const isTransposed = (form: ParamField['form'], label: string, { untransposed }: AnyFamily): boolean =>
  form === 'matrix' && untransposed?.test(label) !== true

// Names beyond these are counted only: a file may have hundreds of thousands.
const shown = 10

const floats: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16', 'F64'])

/** What keeps a tensor of a file from being the parameter that is wanted. */
const misfit = ({ shape, transposed }: Wanted, entry: StoredEntry, place: string): readonly Issue[] => {
  const expected = transposed ? shape.toReversed() : shape
  const hint = 'config.json does not belong to these weights.'
  if (entry.shape.join() !== expected.join())
    return [
      issue(
        'ShapeMismatch',
        place,
        `[${expected.join(', ')}], as config.json has it`,
        `[${entry.shape.join(', ')}]`,
        hint,
      ),
    ]
  return floats.has(entry.dtype)
    ? []
    : [
        issue(
          'UnsupportedDType',
          place,
          [...floats].join(', '),
          entry.dtype,
          'Weights in few bits are not read from files; save them as float32 or bfloat16.',
        ),
      ]
}

/** Where to match: how files call things, where they are, and which names they may lack. */
export interface Matching {
  readonly family: AnyFamily
  readonly plan: Plan
  readonly path: string
  readonly mayLack: (name: string) => boolean
  /** Which names they may have besides, such as the head of another task. */
  readonly mayHave: (name: string) => boolean
}

/** Which tensor of the files is which parameter, or everything that keeps them apart. */
export const matched = (
  wanted: ReadonlyMap<string, Wanted>,
  entries: ReadonlyMap<string, CheckpointEntry>,
  { family, plan, path, mayLack, mayHave }: Matching,
): ReadonlyMap<string, string> => {
  const fileOf = (name: string): string => join(path, entries.get(name)?.file ?? '')
  const found = new Map<string, string>()
  const tied = new Set(Object.keys(plan.ties ?? {}).map(hubKey))
  const extra: string[] = []
  const issues: Issue[] = []
  for (const name of entries.keys()) {
    const candidates = hubCandidates(name, family.body)
    const key = candidates.find((candidate) => wanted.has(candidate))
    if (key === undefined) {
      if (!candidates.some((c) => tied.has(c) || family.ignored?.test(c) === true || mayHave(c))) extra.push(name)
      continue
    }
    const other = found.get(key)
    if (other === undefined) found.set(key, name)
    else
      issues.push(
        issue(
          'DuplicateTensor',
          inFile(fileOf(name), name),
          `${key} once`,
          `"${clip(other)}" too`,
          'Two tensors would be one parameter: remove one of them.',
        ),
      )
  }
  for (const [key, want] of wanted) {
    const name = found.get(key)
    if (name !== undefined) issues.push(...misfit(want, entries.get(name)!, inFile(fileOf(name), name)))
    else if (!mayLack(key))
      issues.push(
        issue(
          'MissingTensor',
          inFile(path, key),
          'a tensor of this name, as config.json asks for',
          'none',
          'The weights are not whole, or belong to another configuration; a head alone can be drawn with { key }.',
        ),
      )
  }
  issues.push(
    ...extra
      .slice(0, shown)
      .map((name) =>
        issue(
          'ExtraTensor',
          inFile(fileOf(name), clip(name)),
          'a parameter of the model in config.json',
          `another, one of ${extra.length}`,
          `${didYouMean(name, wanted.keys())} Does config.json belong to these weights?`,
        ),
      ),
  )
  refuse(issues)
  return found
}
