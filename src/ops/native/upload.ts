import type { Tensor } from '../../tree/tensor.ts'
import type { Data } from '../op.ts'
import { currentEngine } from '../current.ts'
import { asTf, tf } from '../tf.ts'

/** What we use of tfjs-node's backend to hand tensors over, read in version 4.22.0. */
interface Uploads {
  readonly getInputTensorIds: (tensors: readonly tf.Tensor[]) => number[]
}

// Below this, elements wait in JavaScript until they are used: many never leave it.
const large = 2 ** 14

/** Hands the elements of a large tensor to TensorFlow now instead of on first use. @internal */
export const upload = (t: Tensor): void => {
  if (t.size >= large) (tf.backend() as unknown as Uploads).getInputTensorIds([asTf(t)])
}

/**
 * Gives back the memory of an array that a tensor was made of, where the engine has its own copy; nobody may use the array
 * afterwards.
 *
 * The garbage collector would do so late: it does not see how much TensorFlow holds besides.
 *
 * @internal
 */
export const giveBack = async (data: Data, madeOf: Tensor): Promise<void> => {
  if (currentEngine() !== 'native' || madeOf.size < large || data.byteLength !== data.buffer.byteLength) return
  if (isShared(data, madeOf)) return
  // What is sent to a closed port is dropped.
  const { port1, port2 } = new MessageChannel()
  port2.close()
  port1.postMessage(data.buffer, [data.buffer as ArrayBuffer])
  port1.close()
  // The ports, and with them the array, go when what waits gets its turn.
  await new Promise((resolve) => setTimeout(resolve, 0))
}

/** Whether TensorFlow took the array itself: it does so where the array happens to be aligned as its own memory is. */
const isShared = (data: Data, madeOf: Tensor): boolean => {
  const first = (): number => {
    const flat = tf.slice(tf.reshape(asTf(madeOf), [madeOf.size]), 0, 1)
    return flat.dataSync<'float32'>()[0]!
  }
  return tf.tidy(() => {
    const [here, there] = [data[0]!, first()]
    data[0] = here === 0 ? 1 : 0
    const shared = !Object.is(first(), there)
    data[0] = here
    return shared
  })
}
