import type { HubConfig } from '../../model/hub-config.ts'

/** What every configuration of PEFT says, and no adapter depends on, as it is written here. */
export const bookkeeping: HubConfig = {
  auto_mapping: null,
  base_model_name_or_path: null,
  inference_mode: true,
  peft_type: null,
  peft_version: '0.21.2',
  revision: null,
  task_type: null,
}
