import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { moduleBase64 } from '../../../src/ops/wasm/module.ts'

const bytes = new Uint8Array(Buffer.from(moduleBase64, 'base64'))

interface WebAssemblyApi {
  readonly Module: {
    new (bytes: Uint8Array): object
    imports(module: object): readonly object[]
    exports(module: object): readonly object[]
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

  test('need the memory of the host and nothing else', () => {
    const { Module } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly
    const module = new Module(bytes)
    expect(Module.imports(module)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }])
    expect(Module.exports(module)).toEqual([
      { name: 'scratchBytes', kind: 'function' },
      { name: 'matmul', kind: 'function' },
    ])
  })

  test('own no byte of that memory: no data, no state, no start function', () => {
    // Types, imports, functions, exports, code. A data section (11) or globals (6) would overwrite or outlive the host.
    expect(sections(bytes)).toEqual([1, 2, 3, 7, 10])
  })
})
