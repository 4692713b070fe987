/** What every configuration of PEFT says, and no adapter depends on. */
export const commonSpec: readonly string[] = [
  'auto_mapping',
  'base_model_name_or_path',
  'inference_mode',
  'peft_type',
  'peft_version',
  'revision',
  'task_type',
]
