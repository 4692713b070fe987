// What attention and its gradient share: products of narrow blocks, and rows of scores; only for simd-*.cc.
#pragma once

#include "attention.h"
#include "maths.h"
#include "threefry.h"
#include "tile.h"

namespace espalier::ESPALIER_ISA {

#if defined(__AVX512F__)
constexpr int kBlockRows = 6, kBlockVectors = 4;
#elif defined(__AVX2__)
constexpr int kBlockRows = 6, kBlockVectors = 2;
#else
constexpr int kBlockRows = 4, kBlockVectors = 2;
#endif
constexpr int kPanel = kBlockVectors * kLanes;

// A factor of a product: element [row, k] at data[row * stride + k], transposed at data[k * stride + row].
struct Left {
  const float* data;
  int64_t stride;
};

// C [rows, vectors] = or += A B, the last vector of C only in part.
template <int rows, int vectors, bool transposed>
static void block(int depth, Left a, const float* b, int64_t strideB, float* c, int64_t strideC, int columns,
                  bool add) {
  Floats sums[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sums[r][v] = Floats{};
  for (int k = 0; k < depth; k++, b += strideB) {
    Floats row[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) row[v] = load(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const Floats factor = splat(transposed ? a.data[k * a.stride + r] : a.data[r * a.stride + k]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sums[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      float* to = c + r * strideC + v * kLanes;
      const int count = columns - v * kLanes;
      if (count > 0) store(to, add ? load(to, count) + sums[r][v] : sums[r][v], count);
    }
}

template <int rows, bool transposed>
static void blockOf(int depth, Left a, const float* b, int64_t strideB, float* c, int64_t strideC, int columns,
                    bool add) {
  if (kBlockVectors > 3 && columns > 3 * kLanes)
    return block<rows, kBlockVectors, transposed>(depth, a, b, strideB, c, strideC, columns, add);
  if (kBlockVectors > 2 && columns > 2 * kLanes)
    return block<rows, 3, transposed>(depth, a, b, strideB, c, strideC, columns, add);
  if (columns > kLanes) return block<rows, 2, transposed>(depth, a, b, strideB, c, strideC, columns, add);
  block<rows, 1, transposed>(depth, a, b, strideB, c, strideC, columns, add);
}

// C [rows, columns] = or += A B for row-major B, of which whole vectors are read.
template <bool transposed>
static void narrowProduct(int rows, int columns, int depth, Left a, const float* b, int64_t strideB, float* c,
                          int64_t strideC, bool add) {
  const int64_t toRow = transposed ? 1 : a.stride;
  for (int j = 0; j < columns; j += kPanel) {
    const int count = columns - j < kPanel ? columns - j : kPanel;
    int r = 0;
    const auto next = [&] { return Left{a.data + r * toRow, a.stride}; };
    for (; r + kBlockRows <= rows; r += kBlockRows)
      blockOf<kBlockRows, transposed>(depth, next(), b + j, strideB, c + r * strideC + j, strideC, count, add);
    for (; r + 2 <= rows; r += 2)
      blockOf<2, transposed>(depth, next(), b + j, strideB, c + r * strideC + j, strideC, count, add);
    for (; r < rows; r++)
      blockOf<1, transposed>(depth, next(), b + j, strideB, c + r * strideC + j, strideC, count, add);
  }
}

inline int wholePanels(int columns) { return (columns + kPanel - 1) / kPanel * kPanel; }

// Row-major rows of which whole vectors may be read: the matrix itself, or a copy where its rows end within a vector.
struct Rows {
  const float* data;
  int64_t stride;
};
static Rows readableRows(const float* from, int rows, int width, int slot) {
  if (width % kLanes == 0) return {from, width};
  const int64_t stride = (width + kLanes - 1) / kLanes * kLanes;
  float* copy = scratch(slot, rows * stride);
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < stride; i += kLanes)
      store(copy + r * stride + i, load(from + r * static_cast<int64_t>(width) + i, width - i));
  return {copy, stride};
}

// The transposed matrix in panels of kPanel columns: [panel][i][key of the panel]. What stands behind the last key is
// not to be used.
static const float* transposedPanels(const float* from, int keys, int width, int slot) {
  float* const panels = scratch(slot, static_cast<size_t>(wholePanels(keys)) * width);
  float* to = panels;
  for (int j = 0; j < keys; j += kPanel, to += static_cast<int64_t>(kPanel) * width)
    for (int r = 0; r < kPanel && j + r < keys; r += 8) {
      const float* rows[8];
      for (int i = 0; i < 8; i++) {
        const int64_t row = j + r + i < keys ? j + r + i : keys - 1;
        rows[i] = from + row * width;
      }
      int i = 0;
      for (; i + 8 <= width; i += 8) transposeEight(rows, i, to + i * kPanel + r, kPanel);
      for (; i < width; i++)
        for (int c = 0; c < 8; c++) to[i * kPanel + r + c] = rows[c][i];
    }
  return panels;
}

// One head of one batch: where its numbers lie, and what is asked of its rows.
struct Head {
  const Attention& of;
  int batch, head, group;

  Head(const Attention& attention, int index)
      : of(attention), batch(index / attention.heads), head(index % attention.heads),
        group(batch * attention.groups + head / (attention.heads / attention.groups)) {}

  int64_t index() const { return static_cast<int64_t>(batch) * of.heads + head; }
  const float* q() const { return of.q + index() * of.queries * of.width; }
  const float* k() const { return of.k + static_cast<int64_t>(group) * of.keys * of.width; }
  const float* v() const { return of.v + static_cast<int64_t>(group) * of.keys * of.depth; }

  int64_t maskRow(int query) const {
    return batch * of.maskStrides[0] + head * of.maskStrides[1] + query * of.maskStrides[2];
  }
  Span spanOf(int query) const {
    if (of.spans == nullptr) return {0, of.keys, true};
    return of.spans[maskRow(query)];
  }
  // The keys that any of some queries sees.
  Span unionOf(int query, int count) const {
    Span all{of.keys, 0, false};
    for (int r = 0; r < count; r++) {
      const Span span = spanOf(query + r);
      if (span.first >= span.end) continue;
      all.first = span.first < all.first ? span.first : all.first;
      all.end = span.end > all.end ? span.end : all.end;
    }
    return all;
  }

  // Products of queries with all keys of the panels from `from` to `to`; row r of them at scores[r * stride + key].
  void products(int query, int count, const float* panels, const float* left, int64_t strideLeft, int width, int from,
                int to, float* scores, int64_t stride) const {
    for (int j = from; j < to; j += kPanel)
      narrowProduct<false>(count, kPanel, width, {left + query * strideLeft, strideLeft},
                           panels + static_cast<int64_t>(j) * width, kPanel, scores + j, stride, false);
  }

  // Makes chances, not yet divided by their sum, of the products of a query in the whole panels from `from` to `to`: 0
  // for what is hidden. The sum is returned, 0 where nothing is seen; `bends`, if it is there, gets the scores' tanh.
  float chances(int query, int from, int to, float* row, float* bends) const {
    const Span span = spanOf(query);
    if (span.first >= span.end) {
      memset(row + from, 0, (to - from) * sizeof(float));
      return 0;
    }
    // Only what the row sees is touched; whole vectors around it.
    const int begin = span.first / kLanes * kLanes, end = (span.end + kLanes - 1) / kLanes * kLanes;
    memset(row + from, 0, (begin - from) * sizeof(float));
    memset(row + end, 0, (to - end) * sizeof(float));
    const float* mask = span.solid ? nullptr : of.mask + maskRow(query) * of.keys;
    Floats most = splat(-INFINITY);
    for (int j = begin; j < end; j += kLanes) {
      Floats score = load(row + j) * of.scale;
      if (of.cap != 0) {
        const Floats bent = hyperbolicTangent(score / of.cap);
        if (bends != nullptr) store(bends + j, bent);
        score = bent * of.cap;
      }
      if (j < span.first || j + kLanes > span.end) {
        const Ints key = laneNumbers() + j;
        score = key < span.first ? splat(-INFINITY) : key >= span.end ? splat(-INFINITY) : score;
      }
      if (mask != nullptr) {
        const Floats shown = load(mask + j, of.keys - j);
        score = shown != 0.f ? score : splat(-INFINITY);
      }
      store(row + j, score);
      most = larger(most, score);
    }
    const float highest = largestOf(most);
    if (highest == -INFINITY) {
      // Nothing but -infinity gives no chance to anything; but comparisons pass a NaN over, which sums do not.
      Floats all{};
      for (int j = begin; j < end; j += kLanes) all += load(row + j);
      if (sumOf(all) == -INFINITY) {
        memset(row + begin, 0, (end - begin) * sizeof(float));
        return 0;
      }
    }
    Floats total{};
    for (int j = begin; j < end; j += kLanes) {
      const Floats below = load(row + j) - highest;
      const Floats e = below < -87.f ? Floats{} : exponential(below);
      store(row + j, e);
      total += e;
    }
    return sumOf(total);
  }

  // What dropout multiplies the chances of a query by, from the element `from`, a multiple of kLanes, on.
  const float* factors(int query, int from, int to, int slot) const {
    float* all = scratch(slot, wholePanels(of.keys) + 4 * kLanes) + kLanes;
    const uint32_t start = static_cast<uint32_t>((index() * of.queries + query) * of.keys + from);
    drawFactors(of.draw, start, to - from, all + from);
    return all;
  }
};

}  // namespace espalier::ESPALIER_ISA
