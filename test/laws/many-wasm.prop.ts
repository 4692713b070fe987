import { manyOnEngine } from './many/engine.ts'

manyOnEngine('wasm')
