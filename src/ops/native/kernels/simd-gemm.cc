// The matrix product, four ways, chosen by the shape: blocks of tiles; for few rows with a transposed B a stream of B's
// rows; for very few rows or columns dots or combinations of the rows of the other factor.
#include "gemm.h"

#include "rows.h"
#include "thin.h"
#include "tile.h"

namespace espalier::ESPALIER_ISA {

namespace {

constexpr int kDepth = 384;         // of a block of B: a panel of it stays in the first-level cache
constexpr int kBlockColumns = 384;  // of a block of B, which stays in the second-level cache
constexpr int kFewRows = 64;        // of C, for which B is read once and A is packed as a whole
constexpr int kFewestRows = 8;      // of C, and columns, for which tiles would be mostly empty
constexpr int kFewestColumns = 32;
enum Slot { kPanelsOfB, kPanelOfA, kWholeA, kDecoded, kPartial };
constexpr int kStreamRows = kLanes == 16 ? 12 : 6;

int smallerOf(int a, int b) { return a < b ? a : b; }
int roundUp(int x, int step) { return (x + step - 1) / step * step; }

// Columns for each task: whole panels, and at least two tasks for each thread if there are panels enough.
int columnsOfTask(int columns, int most, int panel, int threads) {
  const int fair = roundUp((columns + 2 * threads - 1) / (2 * threads), panel);
  return fair < most ? fair : most;
}

// Panels of kTileColumns columns of B, k by k, from depth k0 and column n0 on.
template <class Rows>
void packB(const Rows& b, bool transposed, int k0, int depth, int n0, int columns, float* to) {
  if (transposed) {
    float* decoded = scratch(kDecoded, 8 * kDepth);
    for (int j = 0; j < columns; j += 8) {
      const int count = smallerOf(8, columns - j);
      const float* rows[8];
      for (int r = 0; r < 8; r++)
        rows[r] = r < count ? b.read(n0 + j + r, k0, depth, decoded + r * kDepth) : rows[count - 1];
      const int panel = j / kTileColumns * kTileColumns;
      transposeRows(rows, count, depth, to + static_cast<int64_t>(panel) * depth + (j - panel), kTileColumns);
    }
    return;
  }
  float* decoded = scratch(kDecoded, kBlockColumns);
  for (int k = 0; k < depth; k++) {
    const float* row = b.read(k0 + k, n0, columns, decoded);
    for (int j = 0; j < columns; j += kTileColumns) {
      float* panel = to + static_cast<int64_t>(j) * depth + k * kTileColumns;
      for (int v = 0; v < kTileColumns; v += kLanes)
        if (columns - j > v) store(panel + v, load(row + j + v, columns - j - v));
    }
  }
}

const float* rowsOfA(const Product& p, int m, int k) {
  return p.a + (p.transposeA ? k * p.strideA + m : m * p.strideA + k);
}

// Each task packs a block of B and multiplies all rows of A by it.
template <class Rows>
void multiplyBlocks(const Threads& threads, const Product& p, const Rows& b) {
  const bool few = p.rows <= kFewRows;
  float* whole = nullptr;
  if (few) {
    whole = scratch(kWholeA, static_cast<size_t>(p.rows) * p.depth + 8);
    for (int k0 = 0; k0 < p.depth; k0 += kDepth) {
      const int depth = smallerOf(kDepth, p.depth - k0);
      for (int m = 0; m < p.rows; m += kTileRows)
        packA(rowsOfA(p, m, k0), p.strideA, p.transposeA, smallerOf(kTileRows, p.rows - m), depth,
              whole + static_cast<int64_t>(k0) * p.rows + static_cast<int64_t>(m) * depth);
    }
  }
  const int step = columnsOfTask(p.columns, kBlockColumns, kTileColumns, threads.count);
  // With few rows a block is used a few times only: one panel at a time leaves the rest of the cache to B itself. Codes
  // are decoded faster in longer pieces.
  const int width = few ? smallerOf(b.toRow(1) == 0 ? 4 * kTileColumns : kTileColumns, step) : step;
  parallel(threads, (p.columns + step - 1) / step, [&](int task) {
    const int begin = task * step, end = smallerOf(begin + step, p.columns);
    float* panels = scratch(kPanelsOfB, static_cast<size_t>(kDepth) * width + 8);
    float* panelOfA = scratch(kPanelOfA, kDepth * kTileRows + 8);
    for (int k0 = 0; k0 < p.depth; k0 += kDepth) {
      const int depth = smallerOf(kDepth, p.depth - k0);
      for (int n0 = begin; n0 < end; n0 += width) {
        const int columns = smallerOf(width, end - n0);
        packB(b, p.transposeB, k0, depth, n0, columns, panels);
        // Where B is read as it is held, the first tiles of a panel fetch the next one meanwhile.
        const bool last = n0 + width >= end;
        const bool fetch = few && !p.transposeB && !(last && k0 + kDepth >= p.depth);
        const float* ahead = fetch ? b.read(last ? k0 + kDepth : k0, last ? begin : n0 + width, 0, nullptr) : nullptr;
        for (int m = 0; m < p.rows; m += kTileRows) {
          const int rows = smallerOf(kTileRows, p.rows - m);
          const float* a = few ? whole + static_cast<int64_t>(k0) * p.rows + static_cast<int64_t>(m) * depth : panelOfA;
          if (!few) packA(rowsOfA(p, m, k0), p.strideA, p.transposeA, rows, depth, panelOfA);
          for (int j = 0; j < columns; j += kTileColumns)
            tileOf(rows, depth, a, panels + static_cast<int64_t>(j) * depth, p.c + m * p.strideC + n0 + j, p.strideC,
                   smallerOf(kTileColumns, columns - j), p.add || k0 > 0, m == 0 ? ahead : nullptr, b.toRow(1));
        }
      }
    }
  });
}

// A few rows of floats, contiguous along the depth: `count` rows at `from`, or columns of it where it is `turned`.
const float* fewRows(const float* from, int64_t stride, bool turned, int count, int depth, int64_t& strideOut) {
  if (!turned) {
    strideOut = stride;
    return from;
  }
  float* to = scratch(kWholeA, static_cast<size_t>(count) * depth);
  for (int k = 0; k < depth; k++)
    for (int j = 0; j < count; j++) to[static_cast<int64_t>(j) * depth + k] = from[k * stride + j];
  strideOut = depth;
  return to;
}

// to(i, j) = x[i] . y[j] for many rows x and a few rows y, which stay in the cache.
template <class Rows>
void multiplyDots(const Threads& threads, const Rows& x, int many, const float* y, int64_t strideY, int few, int depth,
                  const Target& to, bool add) {
  const int step = columnsOfTask(many, 64, 4, threads.count);
  parallel(threads, (many + step - 1) / step, [&](int task) {
    const int end = smallerOf((task + 1) * step, many);
    float* decoded = scratch(kDecoded, 4 * kDepth);
    for (int i = task * step; i < end; i += 4)
      for (int k0 = 0; k0 < depth; k0 += kDepth) {
        const int part = smallerOf(kDepth, depth - k0), rows = smallerOf(4, end - i);
        const float* read[4];
        for (int r = 0; r < rows; r++) read[r] = x.read(i + r, k0, part, decoded + r * kDepth);
        if (rows == 4)
          dotRows<4>(read, x.toRow(4), y + k0, strideY, few, part, to, i, add || k0 > 0);
        else
          for (int r = 0; r < rows; r++) dotRows<1>(read + r, 0, y + k0, strideY, few, part, to, i + r, add || k0 > 0);
      }
  });
}

// to(i, j) = sum over k of y[j][k] x[k][i] for rows x of many columns and a few rows y.
template <class Rows>
void multiplyCombined(const Threads& threads, const Rows& x, int many, const float* y, int64_t strideY, int few,
                      int depth, const Target& to, bool add) {
  const int step = columnsOfTask(many, kBlockColumns, kLanes, threads.count);
  parallel(threads, (many + step - 1) / step, [&](int task) {
    const int begin = task * step, width = smallerOf(step, many - begin);
    float* decoded = scratch(kDecoded, kGroup * step);
    float* sums = scratch(kPartial, static_cast<size_t>(few) * step);
    memset(sums, 0, static_cast<size_t>(few) * step * sizeof(float));
    for (int k0 = 0; k0 < depth; k0 += kGroup) {
      const int part = smallerOf(kGroup, depth - k0);
      const float* read[kGroup];
      for (int k = 0; k < kGroup; k++)
        read[k] = k < part ? x.read(k0 + k, begin, width, decoded + k * step) : read[part - 1];
      for (int j = 0; j < few; j += 2) {
        const int count = smallerOf(2, few - j);
        float factors[2][kGroup] = {};
        for (int s = 0; s < count; s++)
          for (int k = 0; k < part; k++) factors[s][k] = y[(j + s) * strideY + k0 + k];
        float* sum = sums + static_cast<int64_t>(j) * step;
        if (count == 2)
          combineGroup<2>(read, factors, width, sum, step);
        else
          combineGroup<1>(read, factors, width, sum, step);
      }
    }
    for (int j = 0; j < few; j++)
      for (int i = 0; i < width; i++) {
        const float sum = sums[static_cast<int64_t>(j) * step + i];
        to.at(begin + i, j) = add ? to.at(begin + i, j) + sum : sum;
      }
  });
}

// Few rows of A times a transposed B: A is turned once, and each number of B is read where it lies.
template <class Rows>
void multiplyStreamed(const Threads& threads, const Product& p, const Rows& b) {
  const int padded = roundUp(p.rows, kLanes < 8 ? 8 : kLanes);  // eight rows are turned at once
  float* x = scratch(kWholeA, static_cast<size_t>(padded) * p.depth + 8);
  // Lanes without a row are computed and thrown away, but denormals and NaN in them would cost time.
  memset(x, 0, static_cast<size_t>(padded) * p.depth * sizeof(float));
  for (int m = 0; m < p.rows; m += 8) {
    const int count = smallerOf(8, p.rows - m);
    if (p.transposeA) {
      for (int k = 0; k < p.depth; k++)
        memcpy(x + static_cast<int64_t>(k) * padded + m, p.a + k * p.strideA + m, count * sizeof(float));
      continue;
    }
    const float* rows[8];
    for (int r = 0; r < 8; r++) rows[r] = p.a + (m + (r < count ? r : count - 1)) * p.strideA;
    transposeRows(rows, count, p.depth, x + m, padded);
  }
  const int step = columnsOfTask(p.columns, 96, kStreamRows, threads.count);
  parallel(threads, (p.columns + step - 1) / step, [&](int task) {
    const int end = smallerOf((task + 1) * step, p.columns);
    float* decoded = scratch(kDecoded, kStreamRows * kDepth);
    for (int n = task * step; n < end; n += kStreamRows)
      for (int k0 = 0; k0 < p.depth; k0 += kDepth) {
        const int depth = smallerOf(kDepth, p.depth - k0), rows = smallerOf(kStreamRows, end - n);
        const float* read[kStreamRows];
        for (int r = 0; r < rows; r++) read[r] = b.read(n + r, k0, depth, decoded + r * kDepth);
        const auto run = [&](auto tile, int vectors, int m, int r) {
          tile(depth, read + r, x + static_cast<int64_t>(k0) * padded + m, padded,
               smallerOf(vectors * kLanes, p.rows - m), p.c + m * p.strideC + n + r, p.strideC,
               p.add || k0 > 0);
        };
        for (int m = 0; m < p.rows; m += 2 * kLanes) {
          const bool two = p.rows - m > kLanes;
          if (rows == kStreamRows)
            two ? run(streamTile<kStreamRows, 2>, 2, m, 0) : run(streamTile<kStreamRows, 1>, 1, m, 0);
          else
            for (int r = 0; r < rows; r++) two ? run(streamTile<1, 2>, 2, m, r) : run(streamTile<1, 1>, 1, m, r);
        }
      }
  });
}

template <class Rows>
void multiplyBy(const Threads& all, const Product& p, const Rows& b) {
  // Waking a thread takes as long as this much work.
  const bool small = static_cast<double>(p.rows) * p.columns * p.depth < 1 << 18;
  const Threads threads{all.run, all.pool, small ? 1 : all.count};
  int64_t stride;
  if (p.rows <= kFewestRows && !p.transposeB) {
    const float* a = fewRows(p.a, p.strideA, p.transposeA, p.rows, p.depth, stride);
    return multiplyCombined(threads, b, p.columns, a, stride, p.rows, p.depth, {p.c, 1, p.strideC}, p.add);
  }
  if (p.rows <= kFewestRows && p.transposeB) {
    const float* a = fewRows(p.a, p.strideA, p.transposeA, p.rows, p.depth, stride);
    return multiplyDots(threads, b, p.columns, a, stride, p.rows, p.depth, {p.c, 1, p.strideC}, p.add);
  }
  if (p.rows <= kFewRows && p.transposeB) return multiplyStreamed(threads, p, b);
  multiplyBlocks(threads, p, b);
}

// The other way round, many rows times few columns: only where B is floats, for it is turned as a whole.
bool multipliedFewColumns(const Threads& threads, const Product& p) {
  if (p.columns > kFewestColumns || p.rows <= kFewRows || p.b.coding != Coding::kFloat32) return false;
  int64_t stride;
  const float* b = fewRows(static_cast<const float*>(p.b.data), p.b.stride, !p.transposeB, p.columns, p.depth, stride);
  const DenseRows a{p.a, p.strideA};
  const Target to{p.c, p.strideC, 1};
  if (p.transposeA)
    multiplyCombined(threads, a, p.rows, b, stride, p.columns, p.depth, to, p.add);
  else
    multiplyDots(threads, a, p.rows, b, stride, p.columns, p.depth, to, p.add);
  return true;
}

}  // namespace

void multiply(const Threads& threads, const Product& p) {
  if (multipliedFewColumns(threads, p)) return;
  withRows(p.b, [&](const auto& rows) { multiplyBy(threads, p, rows); });
}

}  // namespace espalier::ESPALIER_ISA
