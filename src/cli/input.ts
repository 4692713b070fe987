import { fromStored, orThrow, readSafetensors } from '../io/index.ts'
import { familyNamed } from '../io/hub/plan.ts'
import type { Tokens } from '../kind/index.ts'
import { read } from '../ops/index.ts'
import type { Issue } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { Tensor } from '../tree/tensor.ts'
import { refuse, usage } from './errors.ts'
import type { Opened } from './open.ts'

const inputNames: Readonly<Record<string, keyof Tokens>> = {
  input_ids: 'ids',
  attention_mask: 'mask',
  position_ids: 'positions',
  token_type_ids: 'types',
}

/** What keeps a tensor from being [batch, tokens] of whole numbers, like another if one is given. */
const shapeIssue = (field: keyof Tokens, path: string, x: Tensor, like: Tensor): readonly Issue[] => {
  const whole = x.dtype === 'int32' || (field === 'mask' && (x.dtype === 'float32' || x.dtype === 'bool'))
  const shaped = field === 'ids' ? x.shape.length === 2 && x.size > 0 : x.shape.join() === like.shape.join()
  if (whole && shaped) return []
  const expected = field === 'ids' ? 'int32 [batch, tokens], neither of them 0' : `int32 [${like.shape.join(', ')}]`
  const hint = field === 'ids' ? 'One row of token ids for each text.' : 'It lies beside input_ids, one number a token.'
  return [{ _tag: 'ShapeMismatch', path, expected, found: `${x.dtype} [${x.shape.join(', ')}]`, hint }]
}

/** Token ids and what stands beside them, from a file. */
export const readInput = async (path: string): Promise<Tokens> => {
  const { tensors } = await orThrow(readSafetensors(path))
  const names = [...tensors.keys()]
  const strange = names.filter((name) => !Object.hasOwn(inputNames, name))
  if (strange.length > 0)
    throw usage(
      `${path}#${strange[0]?.slice(0, 80)}`,
      `one of ${Object.keys(inputNames).join(', ')}`,
      strange.length === 1 ? 'another tensor' : `${strange.length} other tensors`,
      didYouMean(strange[0]?.slice(0, 80) ?? '', Object.keys(inputNames)),
    )
  const fields = [...tensors].map(([name, stored]) => {
    const made = fromStored(stored, { longs: 'int32', shorts: 'int32' })
    if (made._tag === 'Left') return refuse(made.left.map((i) => ({ ...i, path: `${path}#${name}` })))
    return { name, field: inputNames[name] ?? 'ids', value: made.right }
  })
  const ids = fields.find(({ field }) => field === 'ids')?.value
  if (ids === undefined)
    throw usage(`${path}#input_ids`, 'int32 [batch, tokens]', 'no tensor of this name', 'The file must hold input_ids.')
  const issues = fields.flatMap(({ name, field, value }) => shapeIssue(field, `${path}#${name}`, value, ids))
  if (issues.length > 0) refuse(issues)
  return { ids, ...Object.fromEntries(fields.map(({ field, value }) => [field, value])) }
}

const wholeIn = (config: Readonly<Record<string, unknown>>, name: string): number | undefined => {
  const value = config[name]
  return typeof value === 'number' ? value : undefined
}

/** Refuses ids, positions and segments that the model has no row for, and masks of other numbers than 0 and 1. */
export const requireFitting = (tokens: Tokens, { pretrained }: Opened, path: string): void => {
  const config = pretrained?.config ?? {}
  const { spec, positions: table } = pretrained === undefined ? {} : familyNamed(pretrained.family)
  const limits: Readonly<Record<string, number | undefined>> = {
    input_ids: wholeIn(config, 'vocab_size'),
    attention_mask: 2,
    position_ids: table === undefined ? undefined : wholeIn({ ...spec?.defaults, ...config }, table),
    token_type_ids: wholeIn(config, 'type_vocab_size'),
  }
  const issues = Object.entries(inputNames).flatMap(([name, field]): readonly Issue[] => {
    const value = tokens[field]
    const limit = limits[name] ?? Infinity
    const numbers = value === undefined ? [] : read(value)
    const at = numbers.findIndex((n: number) => !(Number.isInteger(n) && n >= 0 && n < limit))
    if (at < 0) return []
    const [, columns = 1] = value?.shape ?? []
    return [
      {
        _tag: 'OutOfRange',
        path: `${path}#${name}[${Math.floor(at / columns)}, ${at % columns}]`,
        expected: limit === Infinity ? 'a number from 0 on' : `a number from 0 to ${limit - 1}`,
        found: String(numbers[at]),
        hint: field === 'mask' ? '1 for a token, 0 for padding.' : 'Do the model and this input belong together?',
      },
    ]
  })
  if (issues.length > 0) refuse(issues)
}
