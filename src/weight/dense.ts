import type { Kind } from '../kind/index.ts'
import { gather, matmul } from '../ops/index.ts'
import type { Param } from '../tree/leaf.ts'

/** A weight that is simply held: the parameter itself. */
export const Dense: Kind<Param, 'weight'> = {
  tag: 'Param',
  role: 'weight',
  fields: {},
  ops: {
    project: (x, w) => matmul(x, w.value),
    projectT: (x, w) => matmul(x, w.value, { transposeB: true }),
    lookup: (ids, w) => gather(w.value, ids),
    shape: (w) => w.value.shape,
    materialize: (w) => w.value,
  },
}
