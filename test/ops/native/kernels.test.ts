import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { engine } from '../../../src/ops/index.ts'
import { hasNativeKernels, nativeProcessor } from '../../../src/ops/native/custom.ts'

const native = await engine({ prefer: 'native', quiet: true }).then(hasNativeKernels, () => false)
if (!native) console.warn('skipped: the native engine is not here, or its binding has no kernels of this version')

beforeAll(() => engine({ prefer: native ? 'native' : 'js', quiet: true }))
afterAll(() => engine({ prefer: 'js', quiet: true }))

describe.runIf(native)('the kernels of our own', () => {
  it('say on what they run, and use less where they are told to', () => {
    expect(nativeProcessor()?.threads).toBeGreaterThan(0)
    expect(['base', 'avx2', 'avx512']).toContain(nativeProcessor()?.isa)
  })
})
