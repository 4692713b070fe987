import { concat, gather, scope, tensor } from '../ops/index.ts'
import { EspalierError, issue } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'
import { isTensor } from '../tree/tensor.ts'
import type { Tensor } from '../tree/tensor.ts'
import { inverseOf } from '../weight/by-row.ts'

/** What a model is run on: a tensor, or a record of tensors such as ids and their mask, each with the batch as first axis. */
export type Batch = Tensor | { readonly [name: string]: unknown }

const rowsIn = (input: unknown): readonly (readonly [string, number | undefined])[] =>
  isTensor(input)
    ? [['input', input.shape[0]]]
    : Object.entries(input as object).flatMap(([name, x]) => (isTensor(x) ? [[name, x.shape[0]] as const] : []))

const check = (models: object, names: readonly string[], input: unknown): void => {
  const known = Object.keys(models)
  const issues: Issue[] = names.flatMap((name, i) =>
    Object.hasOwn(models, name)
      ? []
      : [issue('UnknownAdapter', `names.${i}`, `one of ${known.join(', ')}`, `"${name}"`, didYouMean(name, known))],
  )
  for (const [path, rows] of rowsIn(input))
    if (rows !== names.length)
      issues.push(
        issue(
          'ShapeMismatch',
          path,
          `${names.length} rows, one for each name`,
          String(rows ?? 'a scalar'),
          'Give each row of the batch the name of its model.',
        ),
      )
  if (names.length === 0)
    issues.push(issue('ShapeMismatch', 'names', 'at least one row', 'none', 'Give each row a name.'))
  if (issues.length > 0) throw new EspalierError(issues)
}

const indices = (rows: readonly number[]): Tensor => tensor(Int32Array.from(rows), [rows.length], 'int32')

const picked = (input: unknown, rows: Tensor): unknown =>
  isTensor(input)
    ? gather(input, rows)
    : Object.fromEntries(
        Object.entries(input as object).map(([name, x]) => [name, isTensor(x) ? gather(x, rows) : (x as unknown)]),
      )

/** The rows that bear a name, in order. */
export const rowsOf = (name: string, names: readonly string[]): readonly number[] =>
  names.flatMap((other, row) => (other === name ? [row] : []))

const requireAlike = (outputs: readonly (readonly [string, Tensor, number])[]): void => {
  const rest = (t: Tensor): string => `[rows, ${t.shape.slice(1).join(', ')}]`
  const [first] = outputs
  const issues = outputs.flatMap(([name, out, rows]) => {
    if (out.shape[0] !== rows)
      return [
        issue(
          'ShapeMismatch',
          name,
          `outputs of ${rows} rows, one for each input`,
          `[${out.shape.join(', ')}]`,
          'Run something that gives each row an output, such as `apply`; a mean over the batch has no rows.',
        ),
      ]
    if (first === undefined || rest(out) === rest(first[1])) return []
    return [
      issue(
        'MixedLengths',
        name,
        `outputs of shape ${rest(first[1])}, as ${first[0]} gives`,
        rest(out),
        'Soft prompts add rows: run `sllm.nextLogits`, or cut the outputs to the tokens in the function you pass.',
      ),
    ]
  })
  if (issues.length > 0) throw new EspalierError(issues)
}

/**
 * Runs a batch in which each row names its own model: rows of one name go through it together, and come back in order.
 *
 * `apply` is what runs one model, such as `sllm.apply`. The models share their base, so it is in memory once; a model
 * without adapter is one more entry. Any method may be among them. Gradients reach an adapter from its own rows only.
 *
 * @throws EspalierError `UnknownAdapter` with the nearest name, `ShapeMismatch` unless there is a name for each row, and an
 *   output row for each input row; `MixedLengths` where models give outputs of different lengths; what `apply` throws.
 * @example
 * ```ts
 * import { adapterOf, freeze, key, lora, mixed, pipe, sllm, wearEach } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const french = adapterOf(pipe(base, lora({ at: '**.ln_1', rank: 2 })))
 * const models = { none: base, ...wearEach(base, { fr: french }) }
 * const ids = tensor([[1, 2], [3, 4], [5, 6]], undefined, 'int32')
 * mixed(sllm.apply)(models, ['fr', 'none', 'fr'], ids).shape // => [3, 2, 100]
 * mixed(sllm.apply)(models, ['fr', 'none', 'de' as 'fr'], ids) // => Error: UnknownAdapter
 * ```
 */
export const mixed =
  <M, I, C>(apply: (model: M, input: I, ctx?: C) => Tensor) =>
  <const R extends Readonly<Record<string, M>>>(
    models: R,
    names: readonly (keyof R & string)[],
    input: I,
    ctx?: C,
  ): Tensor =>
    scope(() => {
      check(models, names, input)
      const groups = [...new Set(names)].map((name) => ({ name, rows: rowsOf(name, names) }))
      const part = (rows: readonly number[]): I => (groups.length === 1 ? input : (picked(input, indices(rows)) as I))
      const outputs = groups.map(
        ({ name, rows }) => [name, apply(models[name] as M, part(rows), ctx), rows.length] as const,
      )
      requireAlike(outputs)
      if (outputs.length === 1) return outputs[0]![1]
      const order = groups.flatMap(({ rows }) => rows)
      return gather(
        concat(
          outputs.map(([, out]) => out),
          0,
        ),
        indices(inverseOf(order)),
      )
    })
