// Which instructions this processor has. Every file named simd-*.cc is compiled once for each of the three sets, in a
// namespace of that name, and the wrappers pick one of the three copies at each call.
#pragma once

namespace espalier {

enum Isa { kBase = 0, kAvx2 = 1, kAvx512 = 2 };

// The best set that the processor has and that the variable ESPALIER_NATIVE_ISA (base, avx2, avx512) allows.
Isa isa();

}  // namespace espalier

#define ESPALIER_EACH_ISA(declaration)            \
  namespace espalier {                            \
  namespace base { declaration }                  \
  namespace avx2 { declaration }                  \
  namespace avx512 { declaration }                \
  }

#define ESPALIER_PICK(name)                                          \
  (::espalier::isa() == ::espalier::kAvx512 ? ::espalier::avx512::name \
   : ::espalier::isa() == ::espalier::kAvx2 ? ::espalier::avx2::name   \
                                            : ::espalier::base::name)
