import { manyOnEngine } from './many/engine.ts'

manyOnEngine('native')
