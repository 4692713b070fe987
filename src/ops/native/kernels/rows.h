// Reading pieces of rows of a held matrix: where it lies as floats, a pointer into it; else decoded into a buffer.
// `toRow` is the way from what was read to the same piece that many rows further on, for fetching it early.
#pragma once

#include "gemm.h"
#include "simd.h"

namespace espalier::ESPALIER_ISA {

struct DenseRows {
  const float* data;
  int64_t stride;
  const float* read(int64_t row, int64_t from, int, float*) const { return data + row * stride + from; }
  int64_t toRow(int rows) const { return rows * stride; }
};

struct Bf16Rows {
  const uint16_t* data;
  int64_t stride;
  const float* read(int64_t row, int64_t from, int count, float* buffer) const {
    const uint16_t* codes = data + row * stride + from;
    for (int i = 0; i < count; i++) {
      const uint32_t bits = static_cast<uint32_t>(codes[i]) << 16;
      memcpy(buffer + i, &bits, sizeof bits);
    }
    return buffer;
  }
  int64_t toRow(int) const { return 0; }
};

struct F16Rows {
  const uint16_t* data;
  int64_t stride;
  const float* read(int64_t row, int64_t from, int count, float* buffer) const {
    const uint16_t* codes = data + row * stride + from;
    int i = 0;
    for (; i + kLanes <= count; i += kLanes) store(buffer + i, widen(codes + i));
    if (i < count) {
      uint16_t rest[kLanes] = {};
      memcpy(rest, codes + i, (count - i) * sizeof(uint16_t));
      store(buffer + i, widen(rest), count - i);
    }
    return buffer;
  }
  static inline __attribute__((always_inline)) Floats widen(const uint16_t* codes) {
    typedef uint16_t Halves __attribute__((vector_size(kLanes * 2)));
    Halves halves;
    memcpy(&halves, codes, sizeof halves);
    const Ints half = __builtin_convertvector(halves, Ints);
    const Ints sign = (half & 0x8000) << 16, magnitude = (half & 0x7fff) << 13;
    // A subnormal half is made by a subtraction: the threads of TensorFlow take subnormal floats for 0.
    const Floats difference = asFloats(magnitude + (113 << 23)) - 6.103515625e-05f;
    Ints small;
    memcpy(&small, &difference, sizeof small);
    const Ints normal = magnitude + (112 << 23), infinite = magnitude | 0x7f800000;
    return asFloats(sign | (magnitude < 0x00800000 ? small : magnitude >= 0x0f800000 ? infinite : normal));
  }
  int64_t toRow(int) const { return 0; }
};

struct Int8Rows {
  const int8_t* data;
  int64_t stride;
  const float* scales;
  const float* read(int64_t row, int64_t from, int count, float* buffer) const {
    const int8_t* codes = data + row * stride + from;
    const float scale = scales[row];
    for (int i = 0; i < count; i++) buffer[i] = codes[i] * scale;
    return buffer;
  }
  int64_t toRow(int) const { return 0; }
};

struct Nf4Rows {
  static constexpr int kBlock = 64;
  const Held& held;
  const uint8_t* bytes;

  explicit Nf4Rows(const Held& matrix) : held(matrix), bytes(static_cast<const uint8_t*>(matrix.data)) {}

  float scaleOf(int64_t block) const {
    if (held.scaleCodes == nullptr) return held.scales[block];
    float scale = held.scaleValues[held.scaleCodes[block]] * held.scales[block >> 8];
    asm("" : "+x"(scale));  // rounded before the sum, as everywhere else: what is decoded is the same to the last bit
    return scale + held.scaleOffset;
  }
  float valueAt(int64_t i) const { return held.values[i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15]; }

  const float* read(int64_t row, int64_t from, int count, float* buffer) const {
    int64_t i = row * held.stride + from;
    float* to = buffer;
    for (const int64_t end = i + count; i < end;) {
      const int64_t block = i / kBlock;
      const int64_t blockEnd = (block + 1) * kBlock < end ? (block + 1) * kBlock : end;
      const float scale = scaleOf(block);
      if (i % 2 != 0) *to++ = valueAt(i++) * scale;
#if defined(__AVX2__)
      if (blockEnd - i == kBlock) {
#pragma GCC unroll 8
        for (int v = 0; v < kBlock; v += kLanes) store(to + v, vectorAt(bytes + (i + v) / 2) * scale);
        i += kBlock, to += kBlock;
      }
      for (; i + kLanes <= blockEnd; i += kLanes, to += kLanes) store(to, vectorAt(bytes + i / 2) * scale);
#else
      for (; i + 2 <= blockEnd; i += 2, to += 2) {
        to[0] = held.values[bytes[i / 2] >> 4] * scale;
        to[1] = held.values[bytes[i / 2] & 15] * scale;
      }
#endif
      for (; i < blockEnd; i++) *to++ = valueAt(i) * scale;
    }
    return buffer;
  }

  int64_t toRow(int) const { return 0; }

#if defined(__AVX2__)
  // A vector of values: eight codes lie in each word, the upper half of a byte first.
  inline __attribute__((always_inline)) Floats vectorAt(const uint8_t* from) const {
    int32_t words[kLanes / 8];
    memcpy(words, from, sizeof words);
    Ints codes = Ints{} + words[0];
#if defined(__AVX512F__)
    const Ints shift = {4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24};
    const Ints first = {-1, -1, -1, -1, -1, -1, -1, -1};
    codes = first ? codes : Ints{} + words[1];
    return __builtin_shuffle(load(held.values), (codes >> shift) & 15);
#else
    const Ints shift = {4, 0, 12, 8, 20, 16, 28, 24};
    codes = (codes >> shift) & 15;
    const Floats low = __builtin_shuffle(load(held.values), codes & 7);
    return codes > 7 ? __builtin_shuffle(load(held.values + 8), codes & 7) : low;
#endif
  }
#endif
};

// f(rows), with the reader of how the matrix is held.
template <class F>
static void withRows(const Held& held, const F& f) {
  switch (held.coding) {
    case Coding::kFloat32:
      return f(DenseRows{static_cast<const float*>(held.data), held.stride});
    case Coding::kNf4:
      return f(Nf4Rows(held));
    case Coding::kInt8:
      return f(Int8Rows{static_cast<const int8_t*>(held.data), held.stride, held.scales});
    case Coding::kBf16:
      return f(Bf16Rows{static_cast<const uint16_t*>(held.data), held.stride});
    case Coding::kF16:
      return f(F16Rows{static_cast<const uint16_t*>(held.data), held.stride});
  }
}

}  // namespace espalier::ESPALIER_ISA
