// The types of the model alone.
import type { Sllm } from '../../../src/index.ts'

export declare const base: Sllm
