import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { torchGenerator, torchPermutation, torchUniform } from '../../src/io/peft/torch-random.ts'

const hash = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex').slice(0, 16)

// [seed, n, the first six, a hash of all as text]: torch.randperm(n, generator=torch.Generator().manual_seed(seed)), torch 2.15.
const permutations = [
  [0, 1, [0], '5feceb66ffc86f38'],
  [0, 2, [0, 1], '83b97b859aa5f81b'],
  [0, 7, [4, 0, 5, 3, 2, 6], '2ca0c10fe5d6f51b'],
  [0, 624, [380, 515, 279, 243, 527, 189], 'da28a88cc5f0ea77'],
  [0, 2000, [44, 1, 1723, 1073, 1039, 1589], '020b1c37b415fe07'],
  [1, 1, [0], '5feceb66ffc86f38'],
  [1, 2, [1, 0], 'b0e4f9bb7b55e4b1'],
  [1, 7, [0, 6, 1, 3, 5, 2], 'cadd786e79afb6f8'],
  [1, 624, [565, 340, 594, 548, 227, 556], '96145bef11f95e61'],
  [1, 2000, [1845, 649, 992, 351, 251, 1488], '84e78552d33ef928'],
  [5, 1, [0], '5feceb66ffc86f38'],
  [5, 2, [1, 0], 'b0e4f9bb7b55e4b1'],
  [5, 7, [1, 0, 4, 2, 6, 5], '87e9fe1cf785886b'],
  [5, 624, [131, 139, 477, 69, 230, 304], '2fc8fc186533aa78'],
  [5, 2000, [1411, 1372, 279, 1720, 1270, 1455], 'c40728c6d700a670'],
  [777, 1, [0], '5feceb66ffc86f38'],
  [777, 2, [1, 0], 'b0e4f9bb7b55e4b1'],
  [777, 7, [5, 6, 3, 0, 1, 4], '2f6f4be99465b310'],
  [777, 624, [263, 70, 173, 116, 619, 129], '14cafcfaa324e0d1'],
  [777, 2000, [1735, 1494, 1683, 1790, 335, 232], 'd5654261715608f5'],
  [2147483647, 1, [0], '5feceb66ffc86f38'],
  [2147483647, 2, [1, 0], 'b0e4f9bb7b55e4b1'],
  [2147483647, 7, [5, 3, 6, 1, 2, 0], '424bd968b906e9dd'],
  [2147483647, 624, [351, 550, 331, 474, 617, 390], 'f5bb4914d212dc41'],
  [2147483647, 2000, [31, 927, 315, 1877, 873, 1880], '1c533dca5a36d430'],
  [4294967295, 1, [0], '5feceb66ffc86f38'],
  [4294967295, 2, [1, 0], 'b0e4f9bb7b55e4b1'],
  [4294967295, 7, [2, 1, 3, 6, 4, 5], '6b9b9519060e431f'],
  [4294967295, 624, [243, 188, 364, 216, 504, 515], '0cdfeddc67d01d25'],
  [4294967295, 2000, [371, 772, 1054, 212, 168, 300], '73570d4cc4f2e42f'],
  [4294967301, 1, [0], '5feceb66ffc86f38'],
  [4294967301, 2, [1, 0], 'b0e4f9bb7b55e4b1'],
  [4294967301, 7, [1, 0, 4, 2, 6, 5], '87e9fe1cf785886b'],
  [4294967301, 624, [131, 139, 477, 69, 230, 304], '2fc8fc186533aa78'],
  [4294967301, 2000, [1411, 1372, 279, 1720, 1270, 1455], 'c40728c6d700a670'],
  [-1, 1, [0], '5feceb66ffc86f38'],
  [-1, 2, [1, 0], 'b0e4f9bb7b55e4b1'],
  [-1, 7, [2, 1, 3, 6, 4, 5], '6b9b9519060e431f'],
  [-1, 624, [243, 188, 364, 216, 504, 515], '0cdfeddc67d01d25'],
  [-1, 2000, [371, 772, 1054, 212, 168, 300], '73570d4cc4f2e42f'],
] as const
// [seed, n, bound, a hash of the bytes]: torch.empty(n).uniform_(-bound, bound, generator=…).
const uniforms = [
  [0, 5, 0.3, '72814b20457bed65'],
  [3, 16, 0.7, 'aca6d0ce4a53fe6e'],
  [3, 1000, 0.7, '6fc8893bfbd56f00'],
  [777, 4096, 1.0, 'ec246ae06e5dc5bb'],
  [7, 100, 0.30618621784789724, '84a2cb31e40c899a'],
] as const

describe('what PyTorch draws on a CPU', () => {
  test.for(permutations)('randperm: seed %i, %i numbers', ([seed, n, first, all]) => {
    expect(torchPermutation(torchGenerator(seed), n, 6)).toEqual(first)
    expect(hash(torchPermutation(torchGenerator(seed), n, n).join(','))).toBe(all)
  })

  test.for(uniforms)('uniform_: seed %i, %i numbers within %d', ([seed, n, bound, all]) => {
    expect(hash(new Uint8Array(torchUniform(torchGenerator(seed), n, -bound, bound).buffer))).toBe(all)
  })
})
