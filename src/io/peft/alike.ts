import { sameTensor } from '../../ops/index.ts'
import { isLeaf } from '../../tree/leaf.ts'
import { isTensor } from '../../tree/tensor.ts'
import { isBranch } from '../../tree/walk.ts'

/** Whether two models compute and train the same: everything but the names of leaves. */
export const alike = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (isTensor(a) || isTensor(b)) return isTensor(a) && isTensor(b) && sameTensor(a, b)
  if (!isNode(a) || !isNode(b) || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a).filter((key) => !(isLeaf(a) && key === 'label'))
  return (
    keys.length === Object.keys(b).filter((key) => !(isLeaf(b) && key === 'label')).length &&
    keys.every((key) => Object.hasOwn(b, key) && alike(a[key], b[key]))
  )
}

const isNode = (x: unknown): x is Readonly<Record<string, unknown>> => isBranch(x) || isLeaf(x)
