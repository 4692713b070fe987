// The innermost loops of a matrix product: a tile of C in registers, and the panels it reads; only for simd-*.cc.
#pragma once

#include "simd.h"

namespace espalier::ESPALIER_ISA {

// As many accumulators as the registers hold besides a row of B and one broadcast of A.
#if defined(__AVX512F__)
constexpr int kTileRows = 8, kTileVectors = 3;
#elif defined(__AVX2__)
constexpr int kTileRows = 6, kTileVectors = 2;
#else
constexpr int kTileRows = 4, kTileVectors = 2;
#endif
constexpr int kTileColumns = kTileVectors * kLanes;

// C [rows, columns] = or += A B; A is a panel of `rows` numbers for each k, B one of kTileColumns.
template <int rows, bool fetch>
static void tile(int depth, const float* a, const float* b, float* c, int64_t strideC, int columns, bool add,
                 const float* ahead, int64_t aheadStride) {
  Floats sums[rows][kTileVectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; v++) sums[r][v] = Floats{};
  for (int k = 0; k < depth; k++, a += rows, b += kTileColumns) {
    Floats row[kTileVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; v++) row[v] = load(b + v * kLanes);
    if (fetch) {
#pragma GCC unroll 8
      for (int v = 0; v < kTileColumns; v += 16) __builtin_prefetch(ahead + v);
      ahead += aheadStride;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const Floats factor = splat(a[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kTileVectors; v++) sums[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; v++) {
      const int count = columns - v * kLanes;
      float* to = c + r * strideC + v * kLanes;
      if (count > 0) store(to, add ? load(to, count) + sums[r][v] : sums[r][v], count);
    }
}

static void tileOf(int rows, int depth, const float* a, const float* b, float* c, int64_t strideC, int columns,
                   bool add, const float* ahead, int64_t aheadStride) {
  if (ahead != nullptr && rows == kTileRows)
    return tile<kTileRows, true>(depth, a, b, c, strideC, columns, add, ahead, aheadStride);
  switch (rows) {
#define ESPALIER_TILE(n) \
  case n:                \
    return tile<n, false>(depth, a, b, c, strideC, columns, add, nullptr, 0);
    ESPALIER_TILE(1) ESPALIER_TILE(2) ESPALIER_TILE(3) ESPALIER_TILE(4)
    ESPALIER_TILE(5) ESPALIER_TILE(6) ESPALIER_TILE(7) ESPALIER_TILE(8)
#undef ESPALIER_TILE
  }
}

typedef float Eight __attribute__((vector_size(32)));
typedef int32_t EightInts __attribute__((vector_size(32)));
#define ESPALIER_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (EightInts){__VA_ARGS__})

// to[k * stride + r] = rows[r][k] for eight of each. It writes in the order of k, so that a stride below eight leaves
// nothing wrong but what the next eight overwrite.
ESPALIER_INLINE void transposeEight(const float* const rows[8], int64_t k, float* to, int64_t stride) {
  Eight a[8], b[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) memcpy(&a[i], rows[i] + k, sizeof a[i]);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    b[i] = ESPALIER_SHUFFLE(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[i + 1] = ESPALIER_SHUFFLE(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      a[i + 2 * j] = ESPALIER_SHUFFLE(b[i + j], b[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[i + 2 * j + 1] = ESPALIER_SHUFFLE(b[i + j], b[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    b[i] = ESPALIER_SHUFFLE(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    b[i + 4] = ESPALIER_SHUFFLE(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) memcpy(to + i * stride, &b[i], sizeof b[i]);
}

// A panel from `count` <= 8 rows: to[k * stride + r] = rows[r][k]. Up to eight numbers after its end are written too.
static void transposeRows(const float* const rows[8], int count, int depth, float* to, int64_t stride) {
  int k = 0;
  for (; k + 8 <= depth; k += 8) transposeEight(rows, k, to + k * stride, stride);
  for (; k < depth; k++)
    for (int r = 0; r < count; r++) to[k * stride + r] = rows[r][k];
}

// A panel of `count` <= 8 rows of A, k by k. Transposed, A is held as [depth, rows].
static void packA(const float* a, int64_t stride, bool transposed, int count, int depth, float* to) {
  if (transposed) {
    for (int k = 0; k < depth; k++, a += stride, to += count)
      for (int r = 0; r < count; r++) to[r] = a[r];
    return;
  }
  const float* rows[8];
  for (int r = 0; r < 8; r++) rows[r] = a + (r < count ? r : count - 1) * stride;
  transposeRows(rows, count, depth, to, count);
}

}  // namespace espalier::ESPALIER_ISA
