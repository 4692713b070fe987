export { gatherRows, scatterRows } from './gather'
export { matmul } from './matmul'
export { matmulPacked, nestedScales, unpack } from './packed'
export { scratchBytes } from './scratch'
