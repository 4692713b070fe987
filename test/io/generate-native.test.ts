import { generateOn } from './generate-on.ts'

generateOn('native')
