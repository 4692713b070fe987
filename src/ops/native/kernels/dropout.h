// Which elements dropout keeps: the words of src/tree/key.ts, a Threefry block for each two of them.
#pragma once

#include <cstdint>

#include "isa.h"
#include "threads.h"

namespace espalier {

struct Draw {
  uint32_t hi, lo;  // the key
  int64_t dropped;  // an element is dropped when its word is below
  // What is kept is multiplied by this; 2^32 words there are.
  float scale() const { return static_cast<float>(4294967296.0 / (4294967296.0 - static_cast<double>(dropped))); }
};

}  // namespace espalier

// `seedDraw` replaces the key by the one that a seed's two words draw under it.
ESPALIER_EACH_ISA(void seedDraw(Draw* draw, uint32_t first, uint32_t second);
                  void dropout(const Threads& threads, const Draw& draw, int64_t size, const float* x, float* y);)
