// A row is read from the cache again for each sum, so that nothing cancels: its mean first, then what is left.
#include "layer-norm.h"

#include <cmath>

#include "simd.h"

namespace espalier::ESPALIER_ISA {

namespace {

struct Moments {
  float center;
  float spread;  // 1 / the square root of the variance and eps
};

Moments momentsOf(const float* x, int width, float eps) {
  Floats total{};
  for (int i = 0; i < width; i += kLanes) total += load(x + i, width - i);
  const float center = sumOf(total) / width;
  Floats squares{};
  for (int i = 0; i < width; i += kLanes) {
    const Floats off = firstLanes(load(x + i, width - i) - center, width - i);
    squares += off * off;
  }
  return {center, 1 / sqrtf(sumOf(squares) / width + eps)};
}

void normaliseRow(const LayerNorm& norm, const float* x, float* y) {
  const int width = norm.width;
  const Moments m = momentsOf(x, width, norm.eps);
  for (int i = 0; i < width; i += kLanes) {
    const int count = width - i;
    Floats v = (load(x + i, count) - m.center) * m.spread;
    if (norm.scale != nullptr) v *= load(norm.scale + i, count);
    if (norm.shift != nullptr) v += load(norm.shift + i, count);
    store(y + i, v, count);
  }
}

// What is left of the gradient without its mean and without its part along the normalised row.
void slopeRow(const LayerNormSlope& slope, const float* x, const float* g, float* dx) {
  const int width = slope.width;
  const Moments m = momentsOf(x, width, slope.eps);
  Floats total{}, along{};
  for (int i = 0; i < width; i += kLanes) {
    const Floats v = load(g + i, width - i);
    total += v;
    along += v * ((load(x + i, width - i) - m.center) * m.spread);
  }
  const float mean = sumOf(total) / width, part = sumOf(along) / width;
  for (int i = 0; i < width; i += kLanes) {
    const Floats unit = (load(x + i, width - i) - m.center) * m.spread;
    store(dx + i, m.spread * (load(g + i, width - i) - mean - unit * part), width - i);
  }
}

}  // namespace

void layerNorm(const Threads& threads, const LayerNorm& norm) {
  inPieces(threads, norm.rows, norm.width, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin * norm.width; at < end * norm.width; at += norm.width)
      normaliseRow(norm, norm.x + at, norm.y + at);
  });
}

void layerNormSlope(const Threads& threads, const LayerNormSlope& slope) {
  inPieces(threads, slope.rows, slope.width, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin * slope.width; at < end * slope.width; at += slope.width)
      slopeRow(slope, slope.x + at, slope.g + at, slope.dx + at);
  });
}

}  // namespace espalier::ESPALIER_ISA
