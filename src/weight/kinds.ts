import type { Kinds } from '../kind/index.ts'
import { AdaLoraKind } from './adalora.ts'
import { BoftKind } from './boft.ts'
import { ByRowKind } from './by-row.ts'
import { Dense } from './dense.ts'
import { DoraKind } from './dora.ts'
import { FourierftKind } from './fourierft.ts'
import { HraKind } from './hra.ts'
import { Ia3InputsKind, Ia3Kind } from './ia3.ts'
import { LohaKind } from './loha.ts'
import { lokrKinds } from './lokr.ts'
import { LoraFromKind } from './lora-from.ts'
import { LoraKind } from './lora.ts'
import { MissBatKind, MissKind } from './miss.ts'
import { OftKind } from './oft.ts'
import { Bf16Kind, F16Kind, Int8Kind, Nf4DoubleKind, Nf4Kind } from './quantized.ts'
import { RandloraKind } from './randlora.ts'
import { TokenRowsKind } from './token-rows.ts'
import { VeraKind } from './vera.ts'

/** Every representation of a weight, by tag. */
export const weightKinds: Kinds = {
  Param: Dense,
  Nf4: Nf4Kind,
  Nf4Double: Nf4DoubleKind,
  Int8: Int8Kind,
  Bf16: Bf16Kind,
  F16: F16Kind,
  Lora: LoraKind,
  LoraFrom: LoraFromKind,
  Dora: DoraKind,
  AdaLora: AdaLoraKind,
  Loha: LohaKind,
  ...lokrKinds,
  Vera: VeraKind,
  Ia3: Ia3Kind,
  Ia3Inputs: Ia3InputsKind,
  Oft: OftKind,
  Boft: BoftKind,
  Hra: HraKind,
  Fourierft: FourierftKind,
  TokenRows: TokenRowsKind,
  ByRow: ByRowKind,
  Miss: MissKind,
  MissBat: MissBatKind,
  Randlora: RandloraKind,
}
