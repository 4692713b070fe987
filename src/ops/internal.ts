/** What the floors above share with ops and users do not: how handles are owned, and how engines go about their work. */
export { identity } from './basic.ts'
export { preparation } from './compile/executable.ts'
export { announce } from './engine.ts'
export { isOwned, isPromise } from './memory.ts'
export { giveBack } from './native/upload.ts'
export { isSymbolic } from './symbolic.ts'
