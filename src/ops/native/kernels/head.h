// The loss of a language model's head, and its slope, without the logits ever lying in memory as a whole.
#pragma once

#include <cstdint>

#include "gemm.h"

namespace espalier {

struct HeadLoss {
  int rows, width, classes;
  const float* hidden;  // [rows, width]
  Held weight;          // [width, classes], transposed [classes, width]
  bool transpose;
  const float* bias;      // [classes] or null
  const int32_t* labels;  // [rows], each a class
  float cap;              // cap * tanh(logit / cap) takes the place of a logit; 0 for none
  float* losses;          // [rows]
  float* slopes;          // [rows, width], the loss of each row by its hidden numbers, or null
};

// The classes are divided into parts, each with sums of its own, so that the order of additions, and with it the
// result, does not depend on which thread comes first.
inline int headParts(int threads) { return threads < 8 ? 8 : threads; }

// For each part and row: the largest logit and the sum of exponentials, and, for slopes, the sum of weighted rows.
inline int64_t headWorkspace(const HeadLoss& head, int threads) {
  return static_cast<int64_t>(headParts(threads)) * head.rows * (2 + (head.slopes == nullptr ? 0 : head.width));
}

}  // namespace espalier

ESPALIER_EACH_ISA(void headLoss(const Threads& threads, const HeadLoss& head, float* workspace);)
