import type { Ctx } from '../kind/index.ts'
import { identity, isSymbolic } from '../ops/internal.ts'
import { gradients, item, scope, zeros } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import { requireSound } from '../tree/labels.ts'
import { trainableOf, withValues } from '../tree/partition.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { HasTrainable } from '../tree/types/half.ts'
import type { Labelled } from './labelled.ts'

/** `unknown` when a model may have something to train; otherwise a sentence that no model satisfies. */
export type NeedsTrainable<M> = unknown extends M
  ? unknown
  : [HasTrainable<M>] extends [never]
    ? { readonly '~error': 'every parameter of this model is frozen: attach an adapter, or unfreeze a part of it' }
    : unknown

/** What a loss hands on to `apply`: whether this is training, where dropout takes its masks from, what is kept. */
export type LossCtx = Pick<Ctx, 'train' | 'key' | 'seed' | 'checkpoint'>

/**
 * What training makes small: the scalar loss of a model on a batch.
 *
 * It reads the model it is given, not one from outside, and hands `ctx` on to `apply`. It must be pure: a number that
 * changes from step to step belongs into the batch, as a tensor, for a compiled step seldom looks at what is outside again.
 */
export type Loss<M, B> = (model: M, batch: B, ctx: LossCtx) => Tensor

/** A loss and its gradient. */
export interface ValueAndGrad {
  /** A scalar. */
  readonly value: Tensor
  /** By label, each in the shape of its parameter. */
  readonly grads: Labelled
}

/** How gradients are taken. */
export interface GradOptions {
  /** Of a trainable parameter that the loss does not depend on: `'error'` by default; `'zero'` gives it a gradient of zeros. */
  readonly unreached?: 'error' | 'zero'
  /** Has the blocks of models run again on the way back: less memory for about a third more time; false by default. */
  readonly checkpoint?: boolean
}

/**
 * Makes a function that gives the loss of a model and its gradient: exactly the trainable labels, a tie once.
 *
 * Frozen parameters are constants: nothing of theirs is computed or kept, also where they share a tensor with a
 * trainable one. The value and the gradients are the caller's to free; nothing else stays.
 *
 * Errors: a wholly frozen model is refused by the compiler and, where its type says less, by `NothingTrainable`;
 * `UnreachedParameter` lists what no gradient reaches; `NotScalar`, `NonFiniteLoss`, and those of the loss.
 *
 * @example
 * ```ts
 * import { param, valueAndGrad } from 'espalier'
 * import { item, mul, sum, tensor, toArray } from 'espalier/ops'
 *
 * const model = { w: param('vector', 'w', tensor([1, 2, 3])) }
 * const gradient = valueAndGrad((m: typeof model, x: ReturnType<typeof tensor>) => sum(mul(mul(m.w.value, m.w.value), x)))
 * const { value, grads } = gradient(model, tensor([1, 0, 10]))
 * item(value) // => 91
 * toArray(grads.w!) // => [2, 0, 60]
 * ```
 */
export const valueAndGrad =
  <L, B>(loss: Loss<L, B>, options: GradOptions = {}) =>
  <M extends L>(model: M & NeedsTrainable<M>, batch: B, ctx: LossCtx = {}): ValueAndGrad =>
    differentiate(loss, model, batch, ctx, options)

/** `valueAndGrad` where the model's type is open. @internal */
export const differentiate = <M, B>(
  loss: Loss<M, B>,
  model: M,
  batch: B,
  ctx: LossCtx,
  { unreached = 'error', checkpoint }: GradOptions,
): ValueAndGrad => {
  const params = requireTrainable(model)
  const labels = Object.keys(params)
  const within = checkpoint === undefined ? ctx : { ...ctx, checkpoint }
  return scope(() => {
    // A fresh handle each: one tensor may stand in another leaf too, or in a model that the loss closes over, and
    // what reaches it there is no gradient of this leaf.
    const handles = labels.map((label) => identity(params[label]!))
    const fresh = withValues(model, Object.fromEntries(labels.map((label, i) => [label, handles[i]!])))
    const { value, grads } = gradients(() => loss(fresh, batch, within), handles)
    requireFinite(value)
    const missed = labels.filter((_, i) => grads[i] === null)
    if (missed.length > 0 && unreached === 'error') failUnreached(missed)
    const own = labels.map((label, i): [string, Tensor] => [label, grads[i] ?? zeros(params[label]!.shape)])
    return { value, grads: Object.fromEntries(own) }
  })
}

/** The values of the trainable parameters by label; a model without any, or one out of order, is refused. @internal */
export const requireTrainable = (model: unknown): Labelled => {
  requireSound(model)
  const params = Object.entries(trainableOf(model))
  if (params.length === 0)
    fail({
      _tag: 'NothingTrainable',
      path: '',
      expected: 'a model with a trainable parameter',
      found: 'frozen ones only',
      hint: 'Attach an adapter such as lora, or unfreeze.only({ at: … }).',
    })
  return Object.fromEntries(params.map(([label, { value }]) => [label, value]))
}

/** Refuses a loss of NaN or infinity; one that is being recorded has no value yet. @internal */
export const requireFinite = (loss: Tensor): void => {
  if (isSymbolic(loss)) return
  const value = item(loss)
  if (!Number.isFinite(value))
    fail({
      _tag: 'NonFiniteLoss',
      path: 'the loss',
      expected: 'a finite number',
      found: String(value),
      hint: 'Lower the rate, warm up, or clip by the global norm; and look for log(0) or a division by 0 in the loss.',
    })
}

const failUnreached = (labels: readonly string[]): never =>
  fail({
    _tag: 'UnreachedParameter',
    path: labels[0] ?? '',
    expected: 'a loss that depends on every trainable parameter',
    found: `no gradient reaches ${labels.join(', ')}`,
    hint: "Freeze what the loss does not use, or pass { unreached: 'zero' }; and use the model the loss is given.",
  })
