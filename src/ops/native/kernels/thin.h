// Products with few rows or few columns, where B (or A) is read once and tiles would be mostly empty; only for
// simd-*.cc.
#pragma once

#include "simd.h"

namespace espalier::ESPALIER_ISA {

// Where element (i, j) of a result goes: both orientations of a thin product are one loop.
struct Target {
  float* data;
  int64_t strideI, strideJ;
  float& at(int64_t i, int64_t j) const { return data[i * strideI + j * strideJ]; }
};

// to(i + r, j + s) = or += rows[r] . y[s], along the depth; what lies `ahead` of each row is fetched for the next tile.
template <int xs, int ys>
static void dotTile(const float* const x[], int64_t ahead, const float* y, int64_t strideY, int depth, const Target& to,
                    int64_t i, int64_t j, bool add) {
  Floats sums[xs][ys];
#pragma GCC unroll 4
  for (int r = 0; r < xs; r++)
#pragma GCC unroll 4
    for (int s = 0; s < ys; s++) sums[r][s] = Floats{};
  for (int k = 0; k < depth; k += kLanes) {
    const int count = depth - k;
    Floats left[xs];
#pragma GCC unroll 4
    for (int r = 0; r < xs; r++) {
      left[r] = load(x[r] + k, count);
      __builtin_prefetch(x[r] + k + ahead);
    }
#pragma GCC unroll 4
    for (int s = 0; s < ys; s++) {
      const Floats right = load(y + s * strideY + k, count);
#pragma GCC unroll 4
      for (int r = 0; r < xs; r++) sums[r][s] += left[r] * right;
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < xs; r++)
#pragma GCC unroll 4
    for (int s = 0; s < ys; s++) {
      const float sum = sumOf(sums[r][s]);
      to.at(i + r, j + s) = add ? to.at(i + r, j + s) + sum : sum;
    }
}

template <int xs>
static void dotRows(const float* const x[], int64_t ahead, const float* y, int64_t strideY, int count, int depth,
                    const Target& to, int64_t i, bool add) {
  int j = 0;
  for (; j + 4 <= count; j += 4) dotTile<xs, 4>(x, ahead, y + j * strideY, strideY, depth, to, i, j, add);
  if (j + 2 <= count) dotTile<xs, 2>(x, ahead, y + j * strideY, strideY, depth, to, i, j, add), j += 2;
  if (j < count) dotTile<xs, 1>(x, ahead, y + j * strideY, strideY, depth, to, i, j, add);
}

// to[j][v] += sum over eight (or four) rows of factors[j][k] * rows[k][v], for `js` results at once.
constexpr int kGroup = kLanes == 16 ? 8 : 4;
template <int js>
static void combineGroup(const float* const rows[kGroup], const float (*factors)[kGroup], int width, float* to,
                         int64_t stride) {
  Floats factor[js][kGroup];
#pragma GCC unroll 2
  for (int j = 0; j < js; j++)
#pragma GCC unroll 8
    for (int k = 0; k < kGroup; k++) factor[j][k] = splat(factors[j][k]);
  for (int v = 0; v < width; v += kLanes) {
    const int count = width - v;
    Floats sums[js];
#pragma GCC unroll 2
    for (int j = 0; j < js; j++) sums[j] = load(to + j * stride + v, count);
#pragma GCC unroll 8
    for (int k = 0; k < kGroup; k++) {
      const Floats row = load(rows[k] + v, count);
#pragma GCC unroll 2
      for (int j = 0; j < js; j++) sums[j] += factor[j][k] * row;
    }
#pragma GCC unroll 2
    for (int j = 0; j < js; j++) store(to + j * stride + v, sums[j], count);
  }
}

// to(m, r) = or += rows[r] . x[m], where x lies as [depth][stride] with `vectors` vectors of m side by side.
template <int rows, int vectors>
static void streamTile(int depth, const float* const b[rows], const float* x, int64_t stride, int count, float* c,
                       int64_t strideC, bool add) {
  Floats sums[rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) sums[r][v] = Floats{};
  for (int k = 0; k < depth; k++, x += stride) {
    Floats row[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) row[v] = load(x + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      const Floats factor = splat(b[r][k]);
#pragma GCC unroll 2
      for (int v = 0; v < vectors; v++) sums[r][v] += factor * row[v];
    }
  }
  float turned[rows][vectors * kLanes];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) store(&turned[r][v * kLanes], sums[r][v]);
  for (int m = 0; m < count; m++)
    for (int r = 0; r < rows; r++) {
      float& to = c[m * strideC + r];
      to = add ? to + turned[r][m] : turned[r][m];
    }
}

}  // namespace espalier::ESPALIER_ISA
