export { matmul } from './matmul'
export { matmulPacked, nestedScales, unpack } from './packed'
export { scratchBytes } from './scratch'
