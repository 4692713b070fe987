/** Matrix products of jax-js on WASM; the package is found where the script has installed it. */
import { flopsOf } from '../cases.ts'
import type { Case } from '../cases.ts'
import { serve } from '../serve.ts'
import type { Ready } from '../serve.ts'

/** What is used of jax-js: arrays are consumed unless `ref` is handed on. */
interface Arr {
  readonly ref: Arr
  readonly reshape: (shape: readonly number[]) => Arr
  readonly dispose: () => void
}
interface Jax {
  readonly init: (device: string) => Promise<unknown>
  readonly defaultDevice: (device: string) => unknown
  readonly jit: (f: (a: Arr, b: Arr) => Arr) => (a: Arr, b: Arr) => Arr
  readonly blockUntilReady: (x: Arr) => Promise<unknown>
  readonly numpy: {
    readonly array: (data: Float32Array) => Arr
    readonly matmul: (a: Arr, b: Arr) => Arr
    readonly matrixTranspose: (a: Arr) => Arr
  }
}

const operand = (np: Jax['numpy'], shape: readonly number[]): Arr =>
  np.array(Float32Array.from({ length: shape.reduce((n, x) => n * x, 1) }, Math.random)).reshape(shape)

const prepare = async ({ products = [] }: Case): Promise<Ready> => {
  const jax = (await import(process.env['ESPALIER_JAX_JS'] ?? '@jax-js/jax')) as Jax
  await jax.init('wasm')
  jax.defaultDevice('wasm')
  const np = jax.numpy
  const runs = products.map((product) => {
    const { name, batch, rows, depth, columns, transposeA = false, transposeB = false } = product
    const outer = batch === undefined ? [] : [batch]
    const a = operand(np, [...outer, ...(transposeA ? [depth, rows] : [rows, depth])])
    const b = operand(np, [...outer, ...(transposeB ? [columns, depth] : [depth, columns])])
    const multiply = jax.jit((x, y) =>
      np.matmul(transposeA ? np.matrixTranspose(x) : x, transposeB ? np.matrixTranspose(y) : y),
    )
    const flops = flopsOf({ ...product, count: 1 })
    const calls = Math.max(1, Math.round(1e8 / flops))
    return async (): Promise<readonly [string, number]> => {
      let best = Infinity
      for (let round = 0; round < (flops > 2e9 ? 2 : 4); round++) {
        const start = performance.now()
        for (let i = 0; i < calls; i++) {
          const c = multiply(a.ref, b.ref)
          await jax.blockUntilReady(c.ref)
          c.dispose()
        }
        best = Math.min(best, (performance.now() - start) / calls)
      }
      return [name, best]
    }
  })
  return {
    step: async () => {
      const parts: [string, number][] = []
      for (const run of runs) parts.push([...(await run())])
      return { parts: Object.fromEntries(parts) }
    },
  }
}

await serve<Case>(prepare)
