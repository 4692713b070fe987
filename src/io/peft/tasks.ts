import type { Task } from '../../model/family.ts'

/** What PEFT calls the tasks that models here have. */
export const taskTypes: Readonly<Record<Task, string>> = {
  base: 'FEATURE_EXTRACTION',
  'causal-lm': 'CAUSAL_LM',
  'sequence-classification': 'SEQ_CLS',
  'token-classification': 'TOKEN_CLS',
}

/** Every `task_type` of PEFT. */
export const knownTaskTypes: readonly unknown[] = [...Object.values(taskTypes), 'SEQ_2_SEQ_LM', 'QUESTION_ANS']

const tasks = Object.keys(taskTypes) as readonly Task[]

/** Our name of what may be one. */
export const taskNamed = (name: unknown): Task | undefined => tasks.find((task) => task === name)

/** Our task of what may be a `task_type`; other tasks of PEFT have none. */
export const taskOfType = (type: unknown): Task | undefined => tasks.find((task) => taskTypes[task] === type)
