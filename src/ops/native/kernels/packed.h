// A packed matrix made dense, as a whole or in part.
#pragma once

#include <cstdint>

#include "gemm.h"

namespace espalier {

// Row i of `out` is row (axis 0) or column (axis 1) ids[i] of the matrix, each of which lies in it; without ids row i.
struct Decoded {
  Held matrix;
  int64_t rows, columns;
  int axis;
  const int32_t* ids;
  int64_t count;
  float* out;
};

}  // namespace espalier

ESPALIER_EACH_ISA(void decode(const Threads& threads, const Decoded& decoded);)
