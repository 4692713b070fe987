export { matmul } from './matmul'
export { matmulPacked, nestedScales, unpack } from './packed'
export { scratchBytes } from './scratch'
export { erf, exp, gelu, geluSlope, geluTanh, geluTanhSlope, log, sigmoid, silu, siluSlope, tanh } from './unary'
