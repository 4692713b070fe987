import { onEngine } from './suite.ts'

onEngine('wasm', 20)
