import { adaptersOn } from './adapters-on.ts'

adaptersOn('wasm')
