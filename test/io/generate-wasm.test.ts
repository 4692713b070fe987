import { generateOn } from './generate-on.ts'

generateOn('wasm')
