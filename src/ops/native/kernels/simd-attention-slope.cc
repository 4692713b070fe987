// The scores of some queries are made again; what they give to keys and values is added up once for all of them.
#include "attention-rows.h"

namespace espalier::ESPALIER_ISA {

namespace {

constexpr int kKeySlot = 0, kValueSlot = 1, kChanceSlot = 2, kFactorSlot = 3, kBendSlot = 4, kRowSlot = 5,
              kQuerySlot = 6, kReadSlot = 7;

struct Target {
  float *dk, *dv;  // [keys, width] and [keys, depth]
};

// Turns the products in `chances` into the dropped-out chances, and those of dy and the values in `slopes` into the
// slopes of the products, both 0 for what is hidden.
void slopesOf(const Head& at, const AttentionSlope& slope, int query, int from, int until, float* chances,
              float* slopes) {
  const Attention& of = at.of;
  float* bends = of.cap == 0 ? nullptr : scratch(kBendSlot, wholePanels(of.keys));
  if (bends != nullptr) memset(bends + from, 0, (until - from) * sizeof(float));
  const float total = at.chances(query, from, until, chances, bends);
  const float share = total > 0 ? 1 / total : total;
  // What softmax takes from every score alike: the mean slope of the weights.
  const int64_t row = (at.index() * of.queries + query) * of.depth;
  Floats sum{};
  for (int i = 0; i < of.depth; i += kLanes)
    sum += load(slope.output + row + i, of.depth - i) * load(slope.dy + row + i, of.depth - i);
  const float common = sumOf(sum);
  const float* factors = of.draw.dropped == 0 ? nullptr : at.factors(query, from, until, kFactorSlot);
  for (int j = from; j < until; j += kLanes) {
    const Floats chance = load(chances + j) * share;
    const Floats kept = factors == nullptr ? splat(1) : load(factors + j);
    Floats along = chance * (load(slopes + j) * kept - common) * of.scale;
    if (bends != nullptr) along *= 1.f - load(bends + j) * load(bends + j);
    store(chances + j, chance * kept);
    // A hidden key counts for nothing even where its number is none.
    store(slopes + j, chance == 0.f ? Floats{} : along);
  }
}

void slopesOfHead(const Head& at, const AttentionSlope& slope, const Target& target) {
  const Attention& of = at.of;
  const float* keyPanels = transposedPanels(at.k(), of.keys, of.width, kKeySlot);
  const float* valuePanels = transposedPanels(at.v(), of.keys, of.depth, kValueSlot);
  const Rows keyRows = readableRows(at.k(), of.keys, of.width, kRowSlot);
  const int64_t stride = wholePanels(of.keys);
  // As many queries at once as keep their scores in the second-level cache.
  int most = 48 * 1024 / stride / kBlockRows * kBlockRows;
  most = most > 48 ? 48 : most < kBlockRows ? kBlockRows : most;
  float* chances = scratch(kChanceSlot, 2 * most * stride);
  float* slopes = chances + most * stride;
  const int64_t first = at.index() * of.queries;
  memset(target.dk, 0, static_cast<size_t>(of.keys) * of.width * sizeof(float));
  memset(target.dv, 0, static_cast<size_t>(of.keys) * of.depth * sizeof(float));
  for (int query = 0; query < of.queries; query += most) {
    const int count = of.queries - query < most ? of.queries - query : most;
    const Span all = at.unionOf(query, count);
    float* dq = slope.dq + (first + query) * of.width;
    if (all.first >= all.end) {
      memset(dq, 0, static_cast<size_t>(count) * of.width * sizeof(float));
      continue;
    }
    for (int r = 0; r < count; r += kBlockRows) {
      const int rows = count - r < kBlockRows ? count - r : kBlockRows;
      const Span seen = at.unionOf(query + r, rows);
      const bool none = seen.first >= seen.end;
      const int from = none ? 0 : seen.first / kPanel * kPanel, until = none ? 0 : wholePanels(seen.end);
      float *chance = chances + r * stride, *along = slopes + r * stride;
      at.products(query + r, rows, keyPanels, at.q(), of.width, of.width, from, until, chance, stride);
      at.products(query + r, rows, valuePanels, slope.dy + first * of.depth, of.depth, of.depth, from, until, along,
                  stride);
      for (int i = 0; i < rows; i++) {
        float *chancesOfRow = chance + i * stride, *slopesOfRow = along + i * stride;
        if (!none) slopesOf(at, slope, query + r + i, from, until, chancesOfRow, slopesOfRow);
        // Behind what these queries see, up to what the others do.
        const auto blank = [&](int begin, int end) {
          if (begin >= end) return;
          memset(chancesOfRow + begin, 0, (end - begin) * sizeof(float));
          memset(slopesOfRow + begin, 0, (end - begin) * sizeof(float));
        };
        blank(all.first, from < all.end ? from : all.end);
        blank(until > all.first ? until : all.first, all.end);
      }
    }
    const int keys = all.end - all.first;
    narrowProduct<false>(count, of.width, keys, {slopes + all.first, stride}, keyRows.data + all.first * keyRows.stride,
                         keyRows.stride, dq, of.width, false);
    const Rows queries = readableRows(at.q() + query * of.width, count, of.width, kQuerySlot);
    narrowProduct<true>(keys, of.width, count, {slopes + all.first, stride}, queries.data, queries.stride,
                        target.dk + all.first * of.width, of.width, true);
    const Rows dy = readableRows(slope.dy + (first + query) * of.depth, count, of.depth, kReadSlot);
    narrowProduct<true>(keys, of.depth, count, {chances + all.first, stride}, dy.data, dy.stride,
                        target.dv + all.first * of.depth, of.depth, true);
  }
}

}  // namespace

void attentionSlope(const Threads& threads, const AttentionSlope& slope) {
  const Attention& of = slope.of;
  const int64_t keyNumbers = static_cast<int64_t>(of.keys) * of.width;
  const int64_t valueNumbers = static_cast<int64_t>(of.keys) * of.depth;
  const double work = static_cast<double>(of.batch) * of.heads * of.queries * of.keys * (of.width + of.depth);
  const Threads some = work < 5e4 ? Threads{nullptr, nullptr, 1} : threads;
  const auto target = [&](int head, int group) -> Target {
    if (slope.parts == nullptr) return {slope.dk + group * keyNumbers, slope.dv + group * valueNumbers};
    float* part = slope.parts + head * (keyNumbers + valueNumbers);
    return {part, part + keyNumbers};
  };
  parallel(some, of.batch * of.heads, [&](int i) {
    const Head at(of, i);
    slopesOfHead(at, slope, target(i, at.group));
  });
  if (slope.parts == nullptr) return;
  // The heads of a group share keys and values: their parts are added in order.
  const int shared = of.heads / of.groups;
  parallel(some, of.batch * of.groups, [&](int group) {
    for (int i = 0; i < shared; i++) {
      const Target part = target(group * shared + i, group);
      float *dk = slope.dk + group * keyNumbers, *dv = slope.dv + group * valueNumbers;
      for (int64_t j = 0; j < keyNumbers; j++) dk[j] = i == 0 ? part.dk[j] : dk[j] + part.dk[j];
      for (int64_t j = 0; j < valueNumbers; j++) dv[j] = i == 0 ? part.dv[j] : dv[j] + part.dv[j];
    }
  });
}

}  // namespace espalier::ESPALIER_ISA
