// Threefry-2x32 with 20 rounds, a block in each lane; only for simd-*.cc. Salmon et al. 2011, §4.2.
#pragma once

#include "dropout.h"
#include "simd.h"

namespace espalier::ESPALIER_ISA {

typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));

ESPALIER_INLINE void fourRounds(Words& a, Words& b, int r0, int r1, int r2, int r3) {
  const int by[4] = {r0, r1, r2, r3};
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    a += b;
    b = ((b << by[i]) | (b >> (32 - by[i]))) ^ a;
  }
}

ESPALIER_INLINE void threefry(uint32_t k0, uint32_t k1, Words& a, Words& b) {
  const uint32_t k2 = k0 ^ k1 ^ 0x1bd11bda;
  a += k0, b += k1;
  fourRounds(a, b, 13, 15, 26, 6);
  a += k1, b += k2 + 1;
  fourRounds(a, b, 17, 29, 16, 24);
  a += k2, b += k0 + 2;
  fourRounds(a, b, 13, 15, 26, 6);
  a += k0, b += k1 + 3;
  fourRounds(a, b, 17, 29, 16, 24);
  a += k1, b += k2 + 4;
  fourRounds(a, b, 13, 15, 26, 6);
  a += k2, b += k0 + 5;
}

// Words 2i and 2i + 1 for the kLanes blocks from `block` on.
ESPALIER_INLINE void drawWords(const Draw& draw, uint32_t block, Words* first, Words* second) {
  Words a = (Words)laneNumbers() + block, b{};
  threefry(draw.hi, draw.lo, a, b);
  // The words of a block stand side by side.
  Words low{}, high{};
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i++) {
    low[i] = i / 2 + i % 2 * kLanes;
    high[i] = low[i] + kLanes / 2;
  }
  *first = __builtin_shuffle(a, b, low);
  *second = __builtin_shuffle(a, b, high);
}

// What `count` elements from `index` on are multiplied by: 0 or the scale. Up to 2 kLanes + 1 numbers behind them, and
// one before `to`, are written too.
static inline void drawFactors(const Draw& draw, uint32_t index, int count, float* to) {
  const Words least = Words{} + static_cast<uint32_t>(draw.dropped);
  const Floats scale = splat(draw.scale());
  to -= index % 2;
  count += index % 2;
  for (int i = 0; i < count; i += 2 * kLanes) {
    Words first, second;
    drawWords(draw, (index + i) / 2, &first, &second);
    store(to + i, first >= least ? scale : Floats{});
    store(to + i + kLanes, second >= least ? scale : Floats{});
  }
}

}  // namespace espalier::ESPALIER_ISA
