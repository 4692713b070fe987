#include "threefry.h"

namespace espalier::ESPALIER_ISA {

void seedDraw(Draw* draw, uint32_t first, uint32_t second) {
  Words a = Words{} + first, b = Words{} + second;
  threefry(draw->hi, draw->lo, a, b);
  draw->hi = a[0], draw->lo = b[0];
}

void dropout(const Threads& threads, const Draw& draw, int64_t size, const float* x, float* y) {
  constexpr int kBlock = 1024;
  inPieces(threads, (size + kBlock - 1) / kBlock, kBlock, [&](int64_t first, int64_t last) {
    float factors[kBlock];
    for (int64_t begin = first * kBlock; begin < last * kBlock; begin += kBlock) {
      const int count = size - begin < kBlock ? size - begin : kBlock;
      drawFactors(draw, static_cast<uint32_t>(begin), kBlock, factors);
      for (int i = 0; i < count; i += kLanes) {
        // What is dropped is 0 even where it was infinite.
        const Floats factor = load(factors + i);
        store(y + begin + i, factor != 0.f ? load(x + begin + i, count - i) * factor : Floats{}, count - i);
      }
    }
  });
}

}  // namespace espalier::ESPALIER_ISA
