import type { Constant } from '../../../src/index.ts'
import type { Formula } from '../../../src/laws/index.ts'
import { read } from '../../../src/ops/index.ts'

type Rows = readonly (readonly number[])[]
type Node = Readonly<Record<string, unknown>>

// Everything below is in plain numbers, and knows nothing of the library's arithmetic.

const product = (a: Rows, b: Rows): Rows =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((n, x, k) => n + x * b[k]![j]!, 0)))

const each = (a: Rows, f: (x: number, i: number, j: number) => number): Rows =>
  a.map((row, i) => row.map((x, j) => f(x, i, j)))

const factorOf = ({ alpha, scaling }: Node, rank: number): number =>
  Number(alpha) / { alpha: 1, 'alpha/rank': rank, 'alpha/sqrt(rank)': Math.sqrt(rank) }[scaling as 'alpha']

/** The elements of a constant, row by row. */
const constantRows = (leaf: unknown): Rows => {
  const { value } = leaf as Constant
  const [height = 1, width = 1] = value.shape.length === 1 ? [1, value.shape[0]] : value.shape
  const all = [...read(value)]
  return Array.from({ length: height }, (_, i) => all.slice(i * width, (i + 1) * width))
}

const loHa: Formula = (node, base, rows) => {
  const [w1a, w1b, w2a, w2b] = ['w1a', 'w1b', 'w2a', 'w2b'].map((name) => rows(node[name]))
  const [one, two, s] = [product(w1a!, w1b!), product(w2a!, w2b!), factorOf(node, w1b!.length)]
  return each(base, (w, i, j) => w + s * one[i]![j]! * two[i]![j]!)
}

const loKr: Formula = (node, base, rows) => {
  const whole = (n: number): Rows =>
    `w${n}` in node ? rows(node[`w${n}`]) : product(rows(node[`w${n}a`]), rows(node[`w${n}b`]))
  const [w1, w2] = [whole(1), whole(2)]
  const [in2, out2] = [w2.length, w2[0]!.length]
  // Thin factors tell the rank themselves; with none, the node must.
  const [thin] = [node['w1b'], node['w2b']].filter((leaf) => leaf !== undefined)
  const s = factorOf(node, thin === undefined ? Number(node['rank']) : rows(thin).length)
  return each(base, (w, i, j) => w + s * w1[Math.floor(i / in2)]![Math.floor(j / out2)]! * w2[i % in2]![j % out2]!)
}

const veRa: Formula = (node, base, rows) => {
  const [a, b] = [constantRows(node['projectionA']), constantRows(node['projectionB'])]
  const [[d], [scale]] = [rows(node['d']), rows(node['b'])]
  return each(base, (w, i, j) => w + scale![j]! * d!.reduce((n, x, k) => n + a[i]![k]! * x * b[k]![j]!, 0))
}

const outputsScaled: Formula = (node, base, rows) => each(base, (w, _, j) => w * rows(node['scale'])[0]![j]!)
const inputsScaled: Formula = (node, base, rows) => each(base, (w, i) => w * rows(node['scale'])[0]![i]!)

/** The inverse discrete Fourier transform by its definition, over the whole spectrum. */
const fourier: Formula = (node, base, rows) => {
  const [height, width] = [base.length, base[0]!.length]
  const [u, v] = constantRows(node['positions'])
  const spectrum = base.map((row) => row.map(() => 0))
  rows(node['spectrum'])[0]!.forEach((c, k) => (spectrum[u![k]!]![v![k]!] = c))
  const turn = 2 * Math.PI
  return each(base, (w, i, j) => {
    const sum = spectrum.flatMap((row, p) =>
      row.map((c, q) => c * Math.cos(turn * ((p * i) / height + (q * j) / width))),
    )
    return w + (Number(node['scale']) * sum.reduce((n, x) => n + x, 0)) / (height * width)
  })
}

const repeated: Formula = (node, base, rows) => {
  const block = rows(node['block'])
  return each(base, (w, i, j) => w + block[i % block.length]![j % block[0]!.length]!)
}

const rowsReplaced: Formula = (node, base, rows) => {
  const [ids] = constantRows(node['ids'])
  const own = rows(node['rows'])
  return base.map((row, i) => (ids!.includes(i) ? own[ids!.indexOf(i)]! : row))
}

const lokrFormulas: Readonly<Record<string, Formula>> = {
  LokrFullFull: loKr,
  LokrFullLow: loKr,
  LokrLowFull: loKr,
  LokrLowLow: loKr,
}

/** What merging makes of each kind, in plain numbers. */
export const deltaFormulas: Readonly<Record<string, Formula>> = {
  Loha: loHa,
  ...lokrFormulas,
  Vera: veRa,
  Ia3: outputsScaled,
  Ia3Inputs: inputsScaled,
  Fourierft: fourier,
  Miss: repeated,
  TokenRows: rowsReplaced,
}
