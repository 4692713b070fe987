import { engine, adamDirection, attention, blend, crossEntropyRows, dropout, exp, gelu, geluTanh, gradients, layerNorm, mean, normal, release, scalar, silu, softmax, square, sum, tanh, tensor, log, erf, sigmoid, ones } from '../src/ops/index.ts'
import { key } from '../src/tree/key.ts'
const best = (f: () => unknown, n = 25): string => { let b = 1e9; for (let i = 0; i < n; i++) { const t = performance.now(); const r = f(); b = Math.min(b, performance.now() - t); release([r], { keep: [] }) } return b.toFixed(3) }
await (engine as any)({ prefer: 'wasm', quiet: true, threads: 1 })
const N = (s: number[], k = 1) => normal(key(k), s)
const x = N([1024, 1024]), y = N([1024, 1024], 2), pos = square(x)
const h = N([800, 128]), w = N([128])
const q = N([16, 2, 50, 128]), mask = ones([50, 50])
const lab = tensor(Int32Array.from({ length: 800 }, (_, i) => i * 7), [800], 'int32'), logits = N([800, 8000])
const s = N([32, 50, 50])
const g = (f: () => any, xs: any[]) => () => gradients(() => sum(f()), xs)
const rows: [string, () => unknown][] = [
  ['exp 1M', () => exp(x)], ['log', () => log(pos)], ['tanh', () => tanh(x)], ['erf', () => erf(x)], ['sigmoid', () => sigmoid(x)], ['silu', () => silu(x)], ['silu f+b', g(() => silu(x), [x])], ['gelu', () => gelu(x)], ['gelu f+b', g(() => gelu(x), [x])], ['geluTanh', () => geluTanh(x)], ['geluTanh f+b', g(() => geluTanh(x), [x])],
  ['layerNorm 800x128', () => layerNorm(h, w, w)], ['layerNorm f+b', g(() => layerNorm(h, w, w), [h])],
  ['softmax 32x50x50', () => softmax(s)], ['masked', () => softmax(s, { mask })], ['softmax 800x8000', () => softmax(logits)],
  ['ce 800x8000', () => crossEntropyRows(logits, lab)], ['ce f+b', g(() => crossEntropyRows(logits, lab), [logits])],
  ['dropout 1M', () => dropout(x, { rate: 0.1, key: key(3) })], ['blend 1M', () => (blend as any)(x, y, 0.9)], ['adamDirection 1M', () => (adamDirection as any)(x, pos, scalar(1), scalar(1e-8))],
  ['attention 16x2x50x128', () => (attention as any)(q, q, q, { mask })], ['attention f+b', g(() => (attention as any)(q, q, q, { mask }), [q])],
  ['sum last 1M', () => sum(x, { axes: -1 })], ['mean last 1M', () => mean(x, { axes: -1 })], ['sum first 1M', () => sum(x, { axes: 0 })], ['sum all', () => sum(x)],
]
for (const [name, f] of rows) { try { console.log(name.padEnd(24), best(f)) } catch (e) { console.log(name, String(e).slice(0, 60)) } }
