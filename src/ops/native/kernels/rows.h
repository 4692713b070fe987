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
    for (int i = 0; i < count; i++) {
      const uint32_t sign = (codes[i] & 0x8000u) << 16, magnitude = (codes[i] & 0x7fffu) << 13;
      // A subnormal half is made by a subtraction: the threads of TensorFlow take subnormal floats for 0.
      const uint32_t small = magnitude + (113u << 23), normal = magnitude + (112u << 23);
      const uint32_t infinite = magnitude | 0x7f800000u;
      float difference;
      memcpy(&difference, &small, sizeof small);
      difference -= 6.103515625e-05f;
      uint32_t bits;
      memcpy(&bits, &difference, sizeof bits);
      bits = magnitude < 0x00800000u ? bits : magnitude >= 0x0f800000u ? infinite : normal;
      bits |= sign;
      memcpy(buffer + i, &bits, sizeof bits);
    }
    return buffer;
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
    return held.scaleValues[held.scaleCodes[block]] * held.scales[block >> 8] + held.scaleOffset;
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
      for (; i + 16 <= blockEnd; i += 16, to += 16) sixteen(bytes + i / 2, scale, to);
      for (; i < blockEnd; i++) *to++ = valueAt(i) * scale;
    }
    return buffer;
  }

  int64_t toRow(int) const { return 0; }

  // Sixteen values of the eight bytes at `from`, the upper half of a byte first.
  void sixteen(const uint8_t* from, float scale, float* to) const {
#if defined(__AVX512F__)
    // One look-up in a table that is one register.
    typedef uint8_t Bytes __attribute__((vector_size(16)));
    Bytes pairs{};
    memcpy(&pairs, from, 8);
    pairs = __builtin_shuffle(pairs, (Bytes){0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7});
    const Ints shift = {4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0};
    const Ints codes = (__builtin_convertvector(pairs, Ints) >> shift) & 15;
    store(to, __builtin_shuffle(load(held.values), codes) * scale);
#else
    for (int i = 0; i < 8; i++) {
      to[2 * i] = held.values[from[i] >> 4] * scale;
      to[2 * i + 1] = held.values[from[i] & 15] * scale;
    }
#endif
  }
};

}  // namespace espalier::ESPALIER_ISA
