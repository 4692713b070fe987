import { crossEntropyRows, engine, gelu, gradients, headLoss, layerNorm, matmul, memory, normal, release, sum, tensor, zeros } from '../src/ops/index.ts'
import { key } from '../src/tree/key.ts'
const best = (f: () => unknown, n = 6): number => { let b = 1e9; for (let i = 0; i < n; i++) { const t = performance.now(); const r = f(); b = Math.min(b, performance.now() - t); release([r], { keep: [] }) } return b }
const [threads = '1', rep] = process.argv.slice(2)
const info = await engine({ prefer: 'wasm', quiet: true, threads: Number(threads), reproducible: rep === 'plain' })
console.log(info.describe)
const [R, D, V] = [800, 128, 52000]
const hidden = normal(key(1), [R, D]), weight = normal(key(2), [D, V]), bias = zeros([V])
const labels = tensor(Int32Array.from({ length: R }, (_, i) => (i * 7919) % V), [R])
const x = normal(key(3), [800, 128]), w = normal(key(4), [128]), big = normal(key(5), [1024, 1024])
console.log('headLoss + slope', best(() => gradients(() => sum(headLoss(hidden, weight, bias, labels)), [hidden])).toFixed(1), 'ms')
console.log('headLoss', best(() => headLoss(hidden, weight, bias, labels)).toFixed(1), 'ms')
if (process.argv[4]) console.log('matmul', best(() => matmul(hidden, weight)).toFixed(1), 'unfused', best(() => gradients(() => sum(crossEntropyRows(matmul(hidden, weight), labels)), [hidden]),3).toFixed(1), 'ms')
console.log('layerNorm', best(() => layerNorm(x, w, w), 50).toFixed(3), 'fwd+bwd', best(() => gradients(() => sum(layerNorm(x, w, w)), [x]), 50).toFixed(3))
console.log('gelu 1M', best(() => gelu(big), 30).toFixed(3))
console.log(memory().tensors)
