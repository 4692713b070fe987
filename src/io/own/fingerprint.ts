import { createHash } from 'node:crypto'
import { read } from '../../ops/index.ts'
import type { Leaf } from '../../tree/leaf.ts'

/** The digest of a leaf's elements, bit for bit; -0 and +0 differ. */
export const digestOfLeaf = ({ value }: Leaf): string => {
  const { buffer, byteOffset, byteLength } = read(value)
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex')
}

/** What a fingerprint is made of: a leaf's label, dtype and shape, and the digest of its elements. */
export interface Mark {
  readonly label: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly digest: string
}

/** One digest for many leaves, whatever their order. */
export const fingerprintOf = (marks: readonly Mark[]): string => {
  const hash = createHash('sha256')
  const lines = marks.map(({ label, dtype, shape, digest }) => JSON.stringify([label, dtype, shape, digest]))
  for (const line of lines.toSorted()) hash.update(`${line}\n`)
  return hash.digest('hex')
}
