export { matmul } from './matmul'
export { scratchBytes } from './scratch'
