import { describe, expect, it } from 'vitest'
import { compile, full, gather, release, scope, tensor } from '../../../src/ops/index.ts'
import { has, onNative } from './twins.ts'

onNative()

// A binding without our kernels may be one that was not mended.
describe.runIf(has)('a graph that fails', () => {
  it('lets go of what it was fed', () => {
    const rows = compile((table: ReturnType<typeof full>, id: ReturnType<typeof full>) => gather(table, id))
    const outside = tensor([2 ** 16], [1], 'int32')
    const fail = (round: number): void =>
      scope(() => {
        // 16 MB that only TensorFlow holds.
        const table = full([2 ** 16, 64], round)
        expect(() => rows(table, outside)).toThrow(/OutOfRange/)
        release(table, { keep: [] })
      })
    for (let round = 0; round < 5; round++) fail(round)
    const before = process.memoryUsage().rss
    for (let round = 0; round < 40; round++) fail(round)
    expect(rows.report()).toMatchObject({ graphs: 1, direct: [expect.stringContaining('refused the values')] })
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(200)
    release(outside, { keep: [] })
  })
})
