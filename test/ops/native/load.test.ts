import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { installNative } from '../../../src/ops/native/install.ts'
import { loadNative } from '../../../src/ops/native/load.ts'
import { nativePaths } from '../../../src/ops/native/location.ts'
import { stepsToDo } from '../../../src/ops/native/state.ts'

const installed = existsSync(nativePaths().stamp)

afterEach(() => vi.unstubAllEnvs())

describe('without a native engine', () => {
  it('says where it looked and which command installs one', () => {
    const empty = join(tmpdir(), 'espalier-no-such-directory')
    vi.stubEnv('ESPALIER_NATIVE_DIR', empty)
    const loaded = loadNative()
    // A clone in which tfjs-node's own installer succeeded has a native engine all the same.
    expect(loaded.ok ? loaded.tfjsNode : loaded.why).toMatch(
      loaded.ok ? /node_modules/ : new RegExp(`${empty}.*npx espalier native.*tfjs-node`, 's'),
    )
  })
})

describe.runIf(installed)('with the installed native engine', () => {
  it('leaves the chosen backend chosen, and is quick the second time', async () => {
    await tf.setBackend('cpu')
    expect(loadNative()).toMatchObject({ ok: true, describe: expect.stringContaining('TensorFlow') })
    expect(tf.getBackend()).toBe('cpu')
    expect(loadNative().ok).toBe(true)
    expect(tf.getBackend()).toBe('cpu')
  })

  it('is the one engine of the program: tensors move, gradients flow, one count of tensors', async () => {
    loadNative()
    await tf.setBackend('cpu')
    const made = tf.tensor2d([1, 2, 3, 4], [2, 2])
    await tf.setBackend('tensorflow')
    const before = tf.memory().numTensors
    const product = tf.matMul(made, made)
    expect(Array.from(product.dataSync())).toEqual([7, 10, 15, 22])
    expect(tf.memory().numTensors).toBe(before + 1)
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(x, x)))(made)
    expect(Array.from(gradient.dataSync())).toEqual([2, 4, 6, 8])
    tf.dispose([product, gradient])
    expect(tf.memory().numTensors).toBe(before)
    made.dispose()
  })

  it.runIf(stepsToDo(nativePaths()).length === 0)('is not installed again, and that needs no program', async () => {
    let lines = ''
    const result = await installNative({
      environment: { ...process.env, PATH: '' },
      write: (text) => {
        lines += text
      },
    })
    expect(result.ok).toBe(true)
    expect(lines.match(/already there/g)).toHaveLength(4)
  })
})
