import { adaptersOn } from './adapters-on.ts'

adaptersOn('native')
