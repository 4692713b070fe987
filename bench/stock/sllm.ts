/** The LoRA step of SLLM as an ordinary tfjs program: stock kernels of the WASM backend, tf's own gradients. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { idsOf, rate } from '../cases.ts'
import type { Case } from '../cases.ts'
import { serve } from '../serve.ts'
import type { Outcome, Ready } from '../serve.ts'

type Weights = Readonly<Record<string, tf.Tensor>>

/** The tensors of a safetensors file in float32. */
const read = (file: string): Weights => {
  const bytes = readFileSync(file)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Readonly<
    Record<string, { readonly shape: number[]; readonly data_offsets: readonly [number, number] }>
  >
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__')
  return Object.fromEntries(
    tensors.map(
      ([
        name,
        {
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const own = Uint8Array.prototype.slice.call(bytes, 8 + length + from, 8 + length + to)
        return [name, tf.tensor(new Float32Array(own.buffer), shape)]
      },
    ),
  )
}

const norm = (x: tf.Tensor, scale: tf.Tensor): tf.Tensor => {
  const { mean, variance } = tf.moments(x, -1, true)
  return x.sub(mean).div(variance.add(1e-5).sqrt()).mul(scale)
}

const gelu = (x: tf.Tensor): tf.Tensor => x.mul(0.5).mul(tf.erf(x.mul(Math.SQRT1_2)).add(1))

const lossOf = (w: Weights, adapters: Weights, ids: tf.Tensor2D, bench: Case): tf.Scalar => {
  const { batch, length, sizes } = bench
  const { d, heads, wide, vocab, layers } = sizes
  const dense = (x: tf.Tensor, name: string): tf.Tensor => {
    const y = tf.matMul(x, w[`${name}.weight`]!)
    const change = tf.matMul(tf.matMul(x, adapters[`${name}.weight.a`]!), adapters[`${name}.weight.b`]!)
    const shifted = w[`${name}.bias`] === undefined ? y : y.add(w[`${name}.bias`]!)
    return shifted.add(change.mul(16 / bench.rank))
  }
  const split = (x: tf.Tensor): tf.Tensor => x.reshape([batch, length, heads, wide / heads]).transpose([0, 2, 1, 3])
  const hidden = tf.linalg
    .bandPart(tf.ones([length, length]), -1, 0)
    .sub(1)
    .mul(1e9)
  const attention = (x: tf.Tensor, name: string): tf.Tensor => {
    const [q, k, v] = ['Wq', 'Wk', 'Wv'].map((part) => split(dense(x, `${name}.${part}`))) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ]
    const scores = tf.matMul(q, k, false, true).div(Math.sqrt(wide / heads))
    const y = tf.matMul(tf.softmax(scores.add(hidden)), v)
    return dense(y.transpose([0, 2, 1, 3]).reshape([batch * length, wide]), `${name}.projection_out`)
  }
  const embedded = tf.gather(w['embedding_block.token_embdgs.weight']!, ids)
  const placed = embedded.add(w['embedding_block.position_embdgs.weight']!.slice([0, 0], [length, d]))
  let x = placed.reshape([batch * length, d])
  for (let i = 0; i < layers; i++) {
    const at = `transformer_blocks.${i}`
    x = x.add(attention(norm(x, w[`${at}.ln1.scale`]!), `${at}.mha`))
    const inner = dense(norm(x, w[`${at}.ln2.scale`]!), `${at}.mlp.ln_1`)
    x = x.add(dense(gelu(inner), `${at}.mlp.c_proj`))
  }
  const last = norm(x, w['final_norm.scale']!)
  const told = last
    .reshape([batch, length, d])
    .slice([0, 0, 0], [batch, length - 1, d])
    .reshape([-1, d])
  const logits = tf.matMul(told, w['out_head.weight']!).add(w['out_head.bias']!)
  const labels = ids.slice([0, 1], [batch, length - 1]).flatten()
  return tf.logSoftmax(logits).mul(tf.oneHot(labels, vocab)).sum(1).mean().neg().asScalar()
}

const prepare = async (bench: Case): Promise<Ready> => {
  await tf.setBackend('wasm')
  const w = read(join(bench.folder, 'model.safetensors'))
  const drawn = Object.entries(read(join(bench.folder, 'lora.safetensors')))
  const adapters: Readonly<Record<string, tf.Variable>> = Object.fromEntries(
    drawn.flatMap(([label, a]) => {
      const columns = w[label.replace(/\.a$/, '')]!.shape[1]!
      return [
        [label, tf.variable(a)],
        [label.replace(/a$/, 'b'), tf.variable(tf.zeros([bench.rank, columns]))],
      ]
    }),
  )
  const ids = tf.tensor2d(idsOf(bench), [bench.batch, bench.length], 'int32')
  // Adam has no decay in tfjs: a pass over the adapters less than the others do.
  const adam = tf.train.adam(rate, 0.9, 0.999, 1e-8)
  const step = (): Outcome => {
    const loss = adam.minimize(() => lossOf(w, adapters, ids, bench), true, Object.values(adapters))!
    const value = loss.dataSync()[0]!
    loss.dispose()
    return { value }
  }
  return { about: { tfjs: tf.version_core, node: process.version }, step }
}

await serve<Case>(prepare)
