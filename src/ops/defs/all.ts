import type { Op } from '../op.ts'
import { activationOps } from './activation.ts'
import { adamOps } from './adam.ts'
import { attentionOps } from './attention.ts'
import { broadcastOps } from './broadcast.ts'
import { crossEntropyOps } from './cross-entropy.ts'
import { dropoutOps } from './dropout.ts'
import { elementwiseOps } from './elementwise.ts'
import { gatherOps } from './gather.ts'
import { headLossOps } from './head-loss.ts'
import { layerNormOps } from './layer-norm.ts'
import { matmulOps } from './matmul.ts'
import { packedOps } from './packed.ts'
import { reduceOps } from './reduce.ts'
import { shapeOps } from './shape.ts'
import { softmaxOps } from './softmax.ts'
import { solveOps } from './solve.ts'
import { unaryOps } from './unary.ts'

/** Every op there is, those behind gradients included: what an engine or a recording has to know. @internal */
export const allOps: readonly Op<never>[] = [
  ...elementwiseOps,
  ...unaryOps,
  ...activationOps,
  ...broadcastOps,
  ...reduceOps,
  ...shapeOps,
  ...gatherOps,
  ...matmulOps,
  ...softmaxOps,
  ...layerNormOps,
  ...crossEntropyOps,
  ...dropoutOps,
  ...packedOps,
  ...solveOps,
  ...attentionOps,
  ...headLossOps,
  ...adamOps,
]
