#include "packed.h"

#include "rows.h"

namespace espalier::ESPALIER_ISA {

namespace {

// The threads of TensorFlow take subnormal numbers for 0; what is decoded is what was packed, to the last bit.
struct Subnormals {
  const unsigned before = __builtin_ia32_stmxcsr();
  Subnormals() { __builtin_ia32_ldmxcsr(before & ~0x8040u); }
  ~Subnormals() { __builtin_ia32_ldmxcsr(before); }
};

}  // namespace

void decode(const Threads& threads, const Decoded& of) {
  const int64_t width = of.axis == 0 ? of.columns : of.rows;
  withRows(of.matrix, [&](const auto& rows) {
    const auto piece = [&](int64_t row, int64_t from, int count, float* to) {
      const float* read = rows.read(row, from, count, to);
      if (read != to) memcpy(to, read, count * sizeof(float));
    };
    inPieces(threads, of.count, width, [&](int64_t begin, int64_t end) {
      const Subnormals kept;
      for (int64_t i = begin; i < end; i++) {
        const int64_t id = of.ids == nullptr ? i : of.ids[i];
        float* to = of.out + i * width;
        if (of.axis == 0)
          piece(id, 0, of.columns, to);
        else
          for (int64_t row = 0; row < of.rows; row++) piece(row, id, 1, to + row);
      }
    });
  });
}

}  // namespace espalier::ESPALIER_ISA
