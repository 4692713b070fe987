import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import { convert } from '../../src/cli/convert.ts'
import { generate } from '../../src/cli/generate.ts'
import { inspect } from '../../src/cli/inspect.ts'
import { logits } from '../../src/cli/logits.ts'
import { merge } from '../../src/cli/merge.ts'
import { train } from '../../src/cli/train.ts'
import { EspalierError } from '../../src/tree/error.ts'
import { fixture } from '../io/fixtures.ts'

const root = mkdtempSync(join(tmpdir(), 'espalier-hostile-'))
let count = 0

/** A new empty folder. */
export const fresh = (): string => {
  const folder = join(root, String(count++))
  mkdirSync(folder)
  return folder
}

/** A copy of a fixture's folder, to be damaged. */
export const copyOf = (name: string): string => {
  const folder = fresh()
  cpSync(fixture(name), folder, { recursive: true })
  return folder
}

/** What a header says of each tensor. */
export type Header = Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>

/** Damages what lies in a folder. */
export type Damage = (folder: string) => void

/** The header of a safetensors file and the bytes after it. */
const taken = (path: string): { readonly header: Header; readonly data: Buffer } => {
  const bytes = readFileSync(path)
  const length = Number(bytes.readBigUInt64LE(0))
  return { header: JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Header, data: bytes.subarray(8 + length) }
}

/** Writes a safetensors file of a header as text, and of bytes or of that many zeros, which take no room on the disk. */
export const putTensors = (path: string, header: string, data: Buffer | number = 0): void => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)))
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), ...(typeof data === 'number' ? [] : [data])]))
  if (typeof data === 'number') truncateSync(path, 8 + Buffer.byteLength(header) + data)
}

/** Changes the header of a safetensors file; `change` gives the text to write, or changes the object. */
export const withHeader = (path: string, change: (header: Header, data: Buffer) => unknown): void => {
  const { header, data } = taken(path)
  const text = change(header, data)
  putTensors(path, typeof text === 'string' ? text : JSON.stringify(header), data)
}

/** Changes a JSON file; a string is written as it is. */
export const withJson = (path: string, change: Readonly<Record<string, unknown>> | string): void => {
  const text =
    typeof change === 'string'
      ? change
      : JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...change })
  writeFileSync(path, text)
}

/** A file of int32 tensors that `logits` reads, with other dtypes by their names. */
export const inputOf = (
  tensors: Readonly<Record<string, readonly [shape: number[], values: readonly number[], dtype?: string]>>,
): string => {
  const path = join(fresh(), 'in.safetensors')
  const header: Header = {}
  const parts: Buffer[] = []
  let at = 0
  for (const [name, [shape, values, dtype = 'I32']] of Object.entries(tensors)) {
    const data = Buffer.from((dtype === 'F32' ? Float32Array.from(values) : Int32Array.from(values)).buffer)
    header[name] = { dtype, shape, data_offsets: [at, at + data.length] }
    at += data.length
    parts.push(data)
  }
  putTensors(path, JSON.stringify(header), Buffer.concat(parts))
  return path
}

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<string>>> = {
  inspect: (args) => inspect(args, false),
  logits,
  merge,
  convert,
  train,
  generate: (args) => generate(args, () => {}),
}

/** The time that this process has computed, in milliseconds: what else the machine does is no part of it. */
export const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** What came of a command: its exit code, what is said, how long it computed, in milliseconds. */
export interface Outcome {
  readonly code: 0 | 1 | 2
  readonly said: string
  readonly took: number
}

/** Runs a command as the command line would. */
export const outcomeOf = async ([name = '', ...args]: readonly string[]): Promise<Outcome> => {
  const start = cpu()
  const ended = (code: Outcome['code'], said: string): Outcome => ({ code, said, took: cpu() - start })
  try {
    return ended(0, await commands[name]!(args))
  } catch (error) {
    return error instanceof EspalierError || (error instanceof Error && 'code' in error)
      ? ended(2, error.message)
      : ended(1, error instanceof Error ? (error.stack ?? '') : String(error))
  }
}

/** Every file under a folder. */
export const filesIn = (folder: string): readonly string[] => readdirSync(folder, { recursive: true }).map(String)

/** Three tokens of one text, as `logits` reads them. */
export const threeIds = (): string =>
  inputOf({
    input_ids: [
      [1, 3],
      [5, 7, 9],
    ],
  })

/** Runs `logits` on folders of which one is damaged: one message, on time, nothing written, nothing else said. */
export const refusedInOneMessage = async (
  damaged: string,
  folders: Readonly<{ model: string; adapter?: string }>,
  ids: string,
  message: RegExp,
): Promise<void> => {
  // What is said on stderr besides is no part of these trials.
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const out = fresh()
  const named = Object.entries(folders).flatMap(([name, folder]) => [`--${name}`, folder])
  const outcome = await outcomeOf(['logits', ...named, '--input', ids, '--output', join(out, 'out.safetensors')])
  const calls = stderr.mock.calls.length
  stderr.mockRestore()
  expect(outcome).toMatchObject({ code: 2 })
  expect(outcome.said.replaceAll(damaged, 'DIR')).toMatch(message)
  expect(outcome.said).not.toMatch(/\n\s+at /)
  expect(outcome.said.length).toBeLessThan(8000)
  expect(calls).toBe(0)
  expect(filesIn(out)).toEqual([])
  expect(outcome.took).toBeLessThan(40_000)
}
