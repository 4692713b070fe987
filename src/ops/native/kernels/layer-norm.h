// Rows brought to mean 0 and variance 1, and the gradient of that.
#pragma once

#include <cstdint>

#include "isa.h"
#include "threads.h"

namespace espalier {

struct LayerNorm {
  int64_t rows;
  int width;
  float eps;           // added to the variance
  const float* x;      // [rows, width]
  const float* scale;  // [width] or null
  const float* shift;  // [width] or null
  float* y;            // [rows, width]; may be x
};

struct LayerNormSlope {
  int64_t rows;
  int width;
  float eps;
  const float* x;
  const float* g;  // the gradient of the normalised rows
  float* dx;       // may be x or g
};

}  // namespace espalier

ESPALIER_EACH_ISA(void layerNorm(const Threads& threads, const LayerNorm& norm);
                  void layerNormSlope(const Threads& threads, const LayerNormSlope& slope);)
