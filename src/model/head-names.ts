/** What the heads of classifiers are called in transformers; PEFT takes both for the head of any. */
export const classifierHeads: readonly string[] = ['classifier', 'score']

/** What the heads are called that end in a linear layer, and that `all-linear` of PEFT leaves out. */
export const linearHeads: readonly string[] = [...classifierHeads, 'lm_head']

const others = ['pre_classifier', 'qa_outputs', 'cls', 'vocab_\\w+']
const headTensor = new RegExp(`^(${[...linearHeads, ...others].join('|')})\\.`)
const classes = new RegExp(`(?:^|\\.)(?:${classifierHeads.join('|')})(?:\\.out_proj)?\\.weight$`)

/** Whether a tensor of a checkpoint is of a head, whatever its task. */
export const isOtherHead = (name: string): boolean => headTensor.test(name)

/** Whether a tensor is the matrix that gives the logits of a classifier, one row or column a class. */
export const isClassMatrix = (name: string): boolean => classes.test(name)
