// A few queries at a time: their scores with all keys, the softmax of these, and the values by them.
#include "attention-rows.h"

namespace espalier::ESPALIER_ISA {

namespace {

constexpr int kKeySlot = 0, kValueSlot = 1, kScoreSlot = 2, kFactorSlot = 3;

// Up to so many queries, as in decoding, their products with the keys are taken row by row: turning the keys into panels
// would cost more than these products.
constexpr int kFewQueries = 4;

// Their products with the keys from `from` to `to`, in whole vectors around them; row r at scores[r * stride + key].
void fewProducts(const Head& at, int query, int count, int from, int to, float* scores, int64_t stride) {
  const int64_t width = at.of.width;
  for (int j = from / kLanes * kLanes; j < to; j += kLanes) {
    const float* keys[kLanes];
    for (int i = 0; i < kLanes; i++) keys[i] = at.k() + (j + i < at.of.keys ? j + i : at.of.keys - 1) * width;
    for (int r = 0; r < count; r++) {
      const float* q = at.q() + (query + r) * width;
      Floats sums[kLanes] = {};
      for (int k = 0; k < width; k += kLanes) {
        const Floats factor = load(q + k, width - k);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; i++) sums[i] += factor * load(keys[i] + k, width - k);
      }
      store(scores + r * stride + j, sumsOf(sums));
    }
  }
}

void attend(const Head& at, int begin, int end, float* output) {
  const Attention& of = at.of;
  const bool few = end - begin <= kFewQueries;
  const float* keys = few ? nullptr : transposedPanels(at.k(), of.keys, of.width, kKeySlot);
  const Rows values = readableRows(at.v(), of.keys, of.depth, kValueSlot);
  const int64_t stride = wholePanels(of.keys);
  float* scores = scratch(kScoreSlot, kBlockRows * stride);
  for (int query = begin; query < end; query += kBlockRows) {
    const int count = end - query < kBlockRows ? end - query : kBlockRows;
    float* to = output + (at.index() * of.queries + query) * of.depth;
    const Span seen = at.unionOf(query, count);
    if (seen.first >= seen.end) {
      memset(to, 0, static_cast<size_t>(count) * of.depth * sizeof(float));
      continue;
    }
    const int from = seen.first / kPanel * kPanel, until = wholePanels(seen.end);
    if (few)
      fewProducts(at, query, count, seen.first, seen.end, scores, stride);
    else
      at.products(query, count, keys, at.q(), of.width, of.width, from, until, scores, stride);
    float shares[kBlockRows];
    for (int r = 0; r < count; r++) {
      float* row = scores + r * stride;
      const float total = at.chances(query + r, from, until, row, nullptr);
      shares[r] = total > 0 ? 1 / total : total;
      if (of.draw.dropped == 0) continue;
      const float* factors = at.factors(query + r, from, until, kFactorSlot);
      for (int j = from; j < until; j += kLanes) store(row + j, load(row + j) * load(factors + j));
    }
    narrowProduct<false>(count, of.depth, seen.end - seen.first, {scores + seen.first, stride},
                         values.data + seen.first * values.stride, values.stride, to, of.depth, false);
    for (int r = 0; r < count; r++, to += of.depth)
      for (int i = 0; i < of.depth; i += kLanes) store(to + i, load(to + i, of.depth - i) * shares[r], of.depth - i);
  }
}

}  // namespace

void findSpans(const Threads& threads, const float* mask, int64_t rows, int keys, Span* spans) {
  inPieces(threads, rows, keys, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const float* shown = mask + row * keys;
      Span span{0, keys, true};
      while (span.end > 0 && shown[span.end - 1] == 0) span.end--;
      while (span.first < span.end && shown[span.first] == 0) span.first++;
      for (int j = span.first; j < span.end; j++) span.solid &= shown[j] != 0;
      spans[row] = span;
    }
  });
}

void attention(const Threads& threads, const Attention& of, float* output) {
  const int heads = of.batch * of.heads;
  // Few heads are divided into runs of queries, each long enough to pay for transposing the keys again.
  int runs = (2 * threads.count + heads - 1) / heads;
  runs = of.queries / 64 < runs ? of.queries / 64 : runs;
  runs = runs < 1 ? 1 : runs;
  const auto task = [&](int i) {
    const int run = i % runs;
    attend(Head(of, i / runs), static_cast<int64_t>(of.queries) * run / runs,
           static_cast<int64_t>(of.queries) * (run + 1) / runs, output);
  };
  const double work = static_cast<double>(heads) * of.queries * of.keys * (of.width + of.depth);
  parallel(work < 1e5 ? Threads{nullptr, nullptr, 1} : threads, heads * runs, task);
}

}  // namespace espalier::ESPALIER_ISA
