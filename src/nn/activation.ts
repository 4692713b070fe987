import { gelu, geluTanh, mul, relu, sigmoid, silu, tanh } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'

const quickGelu = (x: Tensor): Tensor => mul(x, sigmoid(mul(x, 1.702)))

/** The non-linearities of feed-forward layers, under the names that configurations on the Hugging Face Hub have for them. */
const functions = {
  gelu,
  gelu_python: gelu,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_fast: geluTanh,
  quick_gelu: quickGelu,
  relu,
  silu,
  swish: silu,
  tanh,
} as const

/** The name of a non-linearity; `gelu` is the exact one, `gelu_new` its approximation by tanh. */
export type ActivationName = keyof typeof functions

/** The names of all non-linearities. */
export const activationNames: readonly ActivationName[] = Object.keys(functions) as ActivationName[]

/** x through the non-linearity of this name. */
export const activate = (name: ActivationName, x: Tensor): Tensor => functions[name](x)
