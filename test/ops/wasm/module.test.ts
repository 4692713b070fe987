import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { describe, expect, test } from 'vitest'
import { modules } from '../../../src/ops/wasm/module.ts'

// Node 20 knows relaxed SIMD, but only behind this flag.
setFlagsFromString('--experimental-wasm-relaxed-simd')

interface WebAssemblyApi {
  readonly Module: {
    new (bytes: Uint8Array): object
    imports(module: object): readonly object[]
    exports(module: object): readonly { readonly name: string; readonly kind: string }[]
  }
}

/** The identifiers of the sections of a WebAssembly module, in order. */
const sections = (module: Uint8Array): readonly number[] => {
  const found: number[] = []
  let at = 8
  while (at < module.length) {
    found.push(module[at++]!)
    let length = 0
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = module[at++]!
      length |= (byte & 0x7f) << shift
      more = byte >= 0x80
    }
    at += length
  }
  return found
}

describe('the compiled kernels', () => {
  test('are what a fresh build of the committed sources gives', async () => {
    const script = fileURLToPath(new URL('../../../scripts/build-wasm.mjs', import.meta.url))
    await expect(promisify(execFile)(process.execPath, [script, '--check'])).resolves.toMatchObject({ stderr: '' })
  })

  describe.each(Object.entries(modules))('%s', (_, base64) => {
    const bytes = new Uint8Array(Buffer.from(base64, 'base64'))
    const { Module } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly

    test('need the memory of the host and nothing else', () => {
      expect(Module.imports(new Module(bytes))).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }])
    })

    test('export functions only', () => {
      const exports = Module.exports(new Module(bytes))
      expect(exports).toContainEqual({ name: 'matmul', kind: 'function' })
      expect(exports.filter(({ kind }) => kind !== 'function')).toEqual([])
    })

    test('own no byte of that memory: no data, no state, no start function', () => {
      // Types, imports, functions, exports, code. A data section (11) or globals (6) would overwrite or outlive the host.
      expect(sections(bytes)).toEqual([1, 2, 3, 7, 10])
    })
  })

  test('are different builds', () => {
    expect(modules.relaxed).not.toBe(modules.plain)
  })
})
