import { adopt, dynamicMap, nf4Map, read, scalar } from '../ops/index.ts'
import type { Array_ } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import { constant } from '../tree/leaf.ts'
import type { Form } from '../tree/leaf.ts'
import { labelOf } from '../tree/wrap.ts'
import { BLOCK, NESTED_BLOCK } from './pack.ts'
import { schemeOf } from './quantized.ts'
import type { Quantized } from './quantized.ts'

/** The tensors by which bitsandbytes holds one 4-bit weight, by name, as they lie in a state dict. */
export type Nf4State = Readonly<Record<string, Array_>>

const stateName = 'weight.quant_state.bitsandbytes__nf4'

// As Python's json module writes it, so that equal weights give equal files.
const python = (x: unknown): string =>
  Array.isArray(x)
    ? `[${x.map(String).join(', ')}]`
    : typeof x === 'object' && x !== null
      ? `{${Object.entries(x)
          .map(([k, v]) => `"${k}": ${k === 'nested_offset' && Number.isInteger(v) ? `${String(v)}.0` : python(v)}`)
          .join(', ')}}`
      : JSON.stringify(x)

const list = (data: Array_['data'], shape: readonly number[] = [data.length]): Array_ => ({ shape, data })

const bytesOf = (leaf: { readonly value: Parameters<typeof read>[0] }, length: number): Uint8Array => {
  const { buffer, byteOffset } = read(leaf.value)
  return new Uint8Array(buffer, byteOffset, length).slice()
}

/**
 * A 4-bit weight as the tensors of a bitsandbytes `Linear4bit`: packed bytes, scales, code books and the state as JSON.
 *
 * @throws EspalierError `BadFormat` for a weight that is not in NF4.
 * @example
 * ```ts
 * import { get, key, nf4State, quantize, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const head = get(quantize({ at: 'out_head' })(base), 'out_head.weight')
 * Object.keys(nf4State(head)) // => ['weight', 'weight.absmax', 'weight.quant_map', 'weight.quant_state.bitsandbytes__nf4']
 * nf4State(head)['weight']!.shape // => [6400, 1]
 * ```
 * @source bitsandbytes 0.50, `QuantState.as_dict(packed=True)`.
 */
export const nf4State = (weight: Quantized): Nf4State => {
  const { form, rows, columns, codes, absmax, nestedAbsmax, offset } = weight
  if (absmax === undefined || weight._tag === 'Int8')
    return fail({
      _tag: 'BadFormat',
      path: labelOf(weight),
      expected: 'a weight in NF4',
      found: `one in ${schemeOf(weight).scheme}`,
      hint: "Quantise it with { scheme: 'nf4' }.",
    })
  const size = rows * columns
  const state = {
    quant_type: 'nf4',
    blocksize: BLOCK,
    dtype: 'float32',
    shape: form === 'table' ? [rows, columns] : [columns, rows],
    ...(offset && { nested_blocksize: NESTED_BLOCK, nested_dtype: 'float32', nested_offset: read(offset.value)[0] }),
  }
  const packed = bytesOf(codes, Math.ceil(size / 2))
  return {
    weight: list(packed, [packed.length, 1]),
    'weight.absmax': list(offset ? bytesOf(absmax, Math.ceil(size / BLOCK)) : read(absmax.value)),
    'weight.quant_map': list(nf4Map.slice()),
    ...(nestedAbsmax && {
      'weight.nested_absmax': list(read(nestedAbsmax.value)),
      'weight.nested_quant_map': list(dynamicMap.slice()),
    }),
    [stateName]: list(new TextEncoder().encode(python(state))),
  }
}

const badState = (label: string, expected: string, found: string): never =>
  fail({
    _tag: 'BadFormat',
    path: label,
    expected,
    found,
    hint: 'Only NF4 in blocks of 64, with scales in float32 or in blocks of 256, can be read.',
  })

const words = (bytes: Uint8Array, pad: number): Int32Array => {
  const all = new Uint8Array(Math.ceil(bytes.length / 4) * 4).fill(pad)
  all.set(bytes)
  return new Int32Array(all.buffer)
}

/**
 * The weight that tensors of a bitsandbytes `Linear4bit` or `Embedding4bit` hold, bit for bit.
 *
 * @throws EspalierError `BadFormat` for other block sizes, other code books, or tensors that do not fit the shape.
 * @example
 * ```ts
 * import { fromNf4State, get, key, nf4State, quantize, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const head = get(quantize({ at: 'out_head', doubleQuant: true })(base), 'out_head.weight')
 * fromNf4State(nf4State(head), { label: 'head', form: 'matrix' })._tag // => 'Nf4Double'
 * ```
 * @source bitsandbytes 0.50, `QuantState.from_dict`.
 */
export const fromNf4State = <F extends Form>(
  state: Nf4State,
  { label, form }: { readonly label: string; readonly form: F },
): Quantized<F> => {
  const bytes = (name: string): Uint8Array => {
    const data = state[name]?.data
    return data instanceof Uint8Array
      ? data
      : badState(label, `"${name}" as bytes`, data === undefined ? 'none' : 'others')
  }
  const floats = (name: string): Float32Array => {
    const data = state[name]?.data
    return data instanceof Float32Array
      ? data
      : badState(label, `"${name}" in float32`, data === undefined ? 'none' : 'others')
  }
  const said = JSON.parse(new TextDecoder().decode(bytes(stateName))) as Readonly<Record<string, unknown>>
  const nested = said['nested_blocksize'] !== undefined
  const shape = said['shape']
  if (!Array.isArray(shape) || shape.length !== 2 || said['blocksize'] !== BLOCK)
    return badState(label, 'a matrix in blocks of 64', JSON.stringify(said))
  if (nested && said['nested_blocksize'] !== NESTED_BLOCK)
    return badState(label, 'scales in blocks of 256', JSON.stringify(said))
  const same = (a: Float32Array, b: Float32Array): boolean => a.length === b.length && a.every((x, i) => x === b[i])
  if (!same(floats('weight.quant_map'), nf4Map)) return badState(label, 'the code book of NF4', 'another')
  if (nested && !same(floats('weight.nested_quant_map'), dynamicMap))
    return badState(label, 'the signed dynamic map', 'another')
  const [first, second] = shape.map(Number) as [number, number]
  const [rows, columns] = form === 'table' ? [first, second] : [second, first]
  const size = rows * columns
  const packed = bytes('weight')
  if (packed.length !== Math.ceil(size / 2))
    return badState(label, `${Math.ceil(size / 2)} bytes for [${shape.join(', ')}]`, `${packed.length}`)
  const leaf = (name: string, data: Float32Array | Int32Array) =>
    constant(`${label}.${name}`, adopt(data.slice(), [data.length]))
  const common = { form, rows, columns, codes: { ...leaf('codes', words(packed, 0x77)), standsFor: size } }
  return nested
    ? {
        _tag: 'Nf4Double',
        ...common,
        absmax: leaf('absmax', words(bytes('weight.absmax'), 0)),
        nestedAbsmax: leaf('nestedAbsmax', floats('weight.nested_absmax')),
        offset: constant(`${label}.offset`, scalar(Number(said['nested_offset']))),
      }
    : { _tag: 'Nf4', ...common, absmax: leaf('absmax', floats('weight.absmax')) }
}
