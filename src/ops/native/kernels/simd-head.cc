// As attention does with its keys: blocks of classes pass by, and each row keeps the largest logit so far, the sum of
// exponentials around it, and the sum of the rows of the weight by those. A block is read from memory once for both of
// its products.
#include "head.h"

#include <cmath>

#include "simd.h"

namespace espalier::ESPALIER_ISA {

namespace {

constexpr int kClasses = 384;  // of a block: 512 rows of logits stay in the second-level cache
constexpr int kLogitSlot = 6;  // behind those of a product

// What one part of the classes has summed up.
struct Part {
  float* largest;   // [rows]
  float* totals;    // [rows]
  float* weighted;  // [rows, width]
};

Part partOf(const HeadLoss& head, float* workspace, int index) {
  const int64_t each = static_cast<int64_t>(head.rows) * (2 + (head.slopes == nullptr ? 0 : head.width));
  float* from = workspace + index * each;
  return {from, from + head.rows, from + 2 * head.rows};
}

// The block of the weight that belongs to `from` and the following classes.
Held blockOf(const HeadLoss& head, int from) {
  Held block = head.weight;
  const float* data = static_cast<const float*>(block.data);
  block.data = data + (head.transpose ? from * block.stride : from);
  return block;
}

// tanh: a power series where the other formula would lose the digits of a small x.
ESPALIER_INLINE Floats hyperbolicTangent(Floats x) {
  const Floats square = x * x;
  const Floats series = x + x * square * (-0.333333333f + square * (0.133333333f - square * 0.0539682540f));
  const Floats far = 1.f - 2.f / (exponential(2.f * x) + 1.f);
  return square < 0.01f ? series : far;
}

// A whole vector, or its first lanes with `rest` in the others.
ESPALIER_INLINE Floats loadOr(const float* from, int count, float rest) {
  if (count >= kLanes) return load(from);
  Floats v = splat(rest);
  memcpy(&v, from, count * sizeof(float));
  return v;
}

// Takes a row of logits up: exponentials take their place, times the slope of the cap.
void takeUp(const HeadLoss& head, const Part& part, int row, float* logits, int from, int classes) {
  const float* bias = head.bias == nullptr ? nullptr : head.bias + from;
  Floats most = splat(-INFINITY);
  for (int j = 0; j < classes; j += kLanes) {
    Floats v = load(logits + j, classes - j);
    if (bias != nullptr) v += load(bias + j, classes - j);
    if (head.cap != 0) v = head.cap * hyperbolicTangent(v / head.cap);
    store(logits + j, v, classes - j);
    most = larger(most, loadOr(logits + j, classes - j, -INFINITY));
  }
  // The label is in one block of one part; `finish` makes its logit the loss.
  const int label = head.labels[row] - from;
  if (label >= 0 && label < classes) head.losses[row] = logits[label];
  const float before = part.largest[row], largest = largestOf(most) > before ? largestOf(most) : before;
  if (largest > before) {
    part.largest[row] = largest;
    const float shrink = expf(before - largest);
    part.totals[row] *= shrink;
    if (head.slopes != nullptr) {
      float* weighted = part.weighted + static_cast<int64_t>(row) * head.width;
      for (int i = 0; i < head.width; i += kLanes)
        store(weighted + i, load(weighted + i, head.width - i) * shrink, head.width - i);
    }
  }
  // Where all logits so far are -infinity, their sums count for nothing as soon as there is another one.
  const float shift = largest == -INFINITY ? 0 : largest;
  Floats total{};
  for (int j = 0; j < classes; j += kLanes) {
    const Floats v = loadOr(logits + j, classes - j, -INFINITY);
    Floats e = exponential(v - shift);
    // The lanes behind the end hold the smallest exponential, not 0.
    if (classes - j < kLanes) e = v == -INFINITY ? splat(0) : e;
    total += e;
    if (head.cap != 0) e *= 1.f - (v / head.cap) * (v / head.cap);
    store(logits + j, e, classes - j);
  }
  part.totals[row] += sumOf(total);
}

void passClasses(const HeadLoss& head, const Part& part, int begin, int end) {
  const Threads alone{nullptr, nullptr, 1};
  for (int row = 0; row < head.rows; row++) {
    part.largest[row] = -INFINITY;
    part.totals[row] = 0;
  }
  if (head.slopes != nullptr) memset(part.weighted, 0, static_cast<size_t>(head.rows) * head.width * sizeof(float));
  float* logits = scratch(kLogitSlot, static_cast<size_t>(head.rows) * kClasses);
  for (int from = begin; from < end; from += kClasses) {
    const int classes = end - from < kClasses ? end - from : kClasses;
    const Held block = blockOf(head, from);
    multiply(alone, {head.rows, classes, head.width, head.hidden, head.width, false, block, head.transpose, logits,
                     kClasses, false});
    for (int row = 0; row < head.rows; row++)
      takeUp(head, part, row, logits + static_cast<int64_t>(row) * kClasses, from, classes);
    if (head.slopes != nullptr)
      multiply(alone, {head.rows, head.width, classes, logits, kClasses, false, block, !head.transpose, part.weighted,
                       head.width, true});
  }
}

// What the parts have summed up, for one row.
void finish(const HeadLoss& head, float* workspace, int parts, int row) {
  float largest = -INFINITY;
  for (int p = 0; p < parts; p++) {
    const float of = partOf(head, workspace, p).largest[row];
    largest = of > largest ? of : largest;
  }
  double total = 0;
  for (int p = 0; p < parts; p++) {
    const Part part = partOf(head, workspace, p);
    total += part.totals[row] * exp(static_cast<double>(part.largest[row]) - largest);
  }
  const float logit = head.losses[row];
  head.losses[row] = log(total) + largest - logit;
  if (head.slopes == nullptr) return;
  const float bent = head.cap == 0 ? 0 : logit / head.cap;
  float* slope = head.slopes + static_cast<int64_t>(row) * head.width;
  const float* column = static_cast<const float*>(blockOf(head, head.labels[row]).data);
  const int64_t step = head.transpose ? 1 : head.weight.stride;
  for (int i = 0; i < head.width; i++) slope[i] = (bent * bent - 1) * column[i * step];
  for (int p = 0; p < parts; p++) {
    const Part part = partOf(head, workspace, p);
    const float share = exp(static_cast<double>(part.largest[row]) - largest) / total;
    const float* weighted = part.weighted + static_cast<int64_t>(row) * head.width;
    for (int i = 0; i < head.width; i++) slope[i] += share * weighted[i];
  }
}

}  // namespace

void headLoss(const Threads& threads, const HeadLoss& head, float* workspace) {
  const int parts = headParts(threads.count);
  const int blocks = (head.classes + kClasses - 1) / kClasses;
  const auto boundary = [&](int part) {
    const int64_t at = static_cast<int64_t>(blocks) * part / parts * kClasses;
    return static_cast<int>(at < head.classes ? at : head.classes);
  };
  parallel(threads, parts,
           [&](int p) { passClasses(head, partOf(head, workspace, p), boundary(p), boundary(p + 1)); });
  const int step = 16;
  parallel(threads, (head.rows + step - 1) / step, [&](int task) {
    for (int row = task * step; row < (task + 1) * step && row < head.rows; row++)
      finish(head, workspace, parts, row);
  });
}

}  // namespace espalier::ESPALIER_ISA
