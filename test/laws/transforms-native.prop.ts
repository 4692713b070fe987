import { onEngine } from './suite.ts'

onEngine('native', 8)
