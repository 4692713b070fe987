/*
 * What PyTorch draws on a CPU, number for number: PEFT saves the seeds of some adapters in place of what was drawn of them.
 */

const N = 624
const M = 397

const seeded = (seed: number): Uint32Array => {
  const state = new Uint32Array(N)
  // PyTorch keeps the lower 32 bits of a seed; of negative ones too, as two's complement has them.
  state[0] = Number(BigInt.asUintN(32, BigInt(seed)))
  for (let i = 1; i < N; i++) {
    const before = state[i - 1]!
    state[i] = Math.imul(before ^ (before >>> 30), 1_812_433_253) + i
  }
  return state
}

const twist = (state: Uint32Array): void => {
  for (let i = 0; i < N; i++) {
    const mixed = (state[i]! & 0x8000_0000) | (state[(i + 1) % N]! & 0x7fff_ffff)
    state[i] = state[(i + M) % N]! ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908_b0df : 0)
  }
}

/**
 * The numbers of 32 bits that `torch.Generator().manual_seed(seed)` gives, one a call.
 *
 * @source Matsumoto and Nishimura 1998, "Mersenne Twister: A 623-Dimensionally Equidistributed Uniform Pseudo-Random Number Generator".
 */
export const torchGenerator = (seed: number): (() => number) => {
  const state = seeded(seed)
  let next = N
  return () => {
    if (next === N) {
      twist(state)
      next = 0
    }
    let y = state[next++]!
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c_5680
    y ^= (y << 15) & 0xefc6_0000
    return (y ^ (y >>> 18)) >>> 0
  }
}

/** The first `count` numbers of `torch.randperm(n)`, without a list of all. */
export const torchPermutation = (random: () => number, n: number, count: number): readonly number[] => {
  const moved = new Map<number, number>()
  return Array.from({ length: Math.min(count, n) }, (_, i) => {
    // Of the last there is nothing to choose, and nothing is drawn.
    const j = i === n - 1 ? i : i + (random() % (n - i))
    const chosen = moved.get(j) ?? j
    moved.set(j, moved.get(i) ?? i)
    return chosen
  })
}

/**
 * `torch.empty(n).uniform_(low, high)`: 24 bits a number, multiplied and added with one rounding.
 *
 * That is what PyTorch compiles to wherever there is a fused multiply-add, which is every CPU with AVX2 or NEON.
 */
export const torchUniform = (random: () => number, n: number, low: number, high: number): Float32Array => {
  const [from, to] = [Math.fround(low), Math.fround(high)]
  const width = Math.fround(to - from)
  // Doubles hold the product exactly, so that storing the sum is the only rounding that counts.
  return Float32Array.from({ length: n }, () => (random() & 0xff_ffff) * 2 ** -24 * width + from)
}
