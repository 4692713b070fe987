// The matrix product of this engine, for the wrappers and for kernels that are made of products.
#pragma once

#include <cstdint>

#include "isa.h"
#include "threads.h"

namespace espalier {

enum class Coding { kFloat32, kNf4, kInt8, kBf16, kF16 };

// A matrix as it is held: row-major floats, or codes that are decoded wherever a piece of a row is read.
struct Held {
  Coding coding;
  const void* data;
  int64_t stride;  // elements from row to row
  // NF4: one scale for 64 elements, counted through the whole matrix; int8: one for each row.
  const float* scales;
  // NF4 with scales that are held in 8 bits: their codes, of which 256 share one of `scales`, and their offset.
  const uint8_t* scaleCodes;
  float scaleOffset;
  const float* values;       // what the 16 codes of NF4 mean
  const float* scaleValues;  // what the 256 codes of a scale mean
};

// c [rows, columns] = or += a [rows, depth] times b [depth, columns]; a transposed factor is held the other way round.
struct Product {
  int rows, columns, depth;
  const float* a;
  int64_t strideA;
  bool transposeA;
  Held b;
  bool transposeB;
  float* c;
  int64_t strideC;
  bool add;
};

inline Held denseMatrix(const float* data, int64_t stride) {
  return {Coding::kFloat32, data, stride, nullptr, nullptr, 0, nullptr, nullptr};
}

}  // namespace espalier

ESPALIER_EACH_ISA(void multiply(const Threads& threads, const Product& product);)
