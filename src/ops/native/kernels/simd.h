// Vectors of the width that this copy of the file is compiled for; only for files named simd-*.cc.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "threads.h"

#define ESPALIER_INLINE static inline __attribute__((always_inline))

namespace espalier::ESPALIER_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));

ESPALIER_INLINE Floats load(const float* from) {
  Floats v;
  memcpy(&v, from, sizeof v);
  return v;
}
ESPALIER_INLINE void store(float* to, Floats v) { memcpy(to, &v, sizeof v); }
// Less nothing, not plus nothing: that would take the sign of -0.
ESPALIER_INLINE Floats splat(float x) { return x - Floats{}; }

// The first `count` lanes; the others are 0.
ESPALIER_INLINE Floats load(const float* from, int count) {
  if (count >= kLanes) return load(from);
  Floats v{};
  memcpy(&v, from, count * sizeof(float));
  return v;
}
ESPALIER_INLINE void store(float* to, Floats v, int count) {
  if (count >= kLanes) return store(to, v);
  memcpy(to, &v, count * sizeof(float));
}

// 0, 1, 2, …
ESPALIER_INLINE Ints laneNumbers() {
  Ints v{};
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i++) v[i] = i;
  return v;
}
// The lanes behind the first `count` made 0.
ESPALIER_INLINE Floats firstLanes(Floats v, int count) {
  return count >= kLanes ? v : laneNumbers() < count ? v : Floats{};
}

ESPALIER_INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }
ESPALIER_INLINE Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
// Each lane added to (compared with) the one half a vector away, a quarter away, …: all lanes then hold the result.
ESPALIER_INLINE Floats exchanged(Floats v, int distance) {
  Ints order{};
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i++) order[i] = i ^ distance;
  return __builtin_shuffle(v, order);
}
ESPALIER_INLINE float sumOf(Floats v) {
#pragma GCC unroll 4
  for (int distance = kLanes / 2; distance > 0; distance /= 2) v += exchanged(v, distance);
  return v[0];
}
// Lane i of the result is the sum of v[i], of which nothing is left: each pair is folded into one vector, half of whose
// lanes belong to either.
template <int distance = kLanes / 2>
ESPALIER_INLINE Floats sumsOf(Floats v[]) {
  const Ints second = (laneNumbers() & distance) != 0;
#pragma GCC unroll 8
  for (int i = 0; i < distance; i++) {
    const Floats a = v[i], b = v[i + distance];
    v[i] = (second ? b : a) + exchanged(second ? a : b, distance);
  }
  if constexpr (distance == 1)
    return v[0];
  else
    return sumsOf<distance / 2>(v);
}
ESPALIER_INLINE float largestOf(Floats v) {
#pragma GCC unroll 4
  for (int distance = kLanes / 2; distance > 0; distance /= 2) v = larger(v, exchanged(v, distance));
  return v[0];
}
ESPALIER_INLINE Floats asFloats(Ints bits) {
  Floats v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

// x as n ln 2 + r: n whole, r on [-ln 2 / 2, ln 2 / 2].
struct Reduced {
  Floats n, r;
};
ESPALIER_INLINE Reduced reducedByLn2(Floats x) {
  const float toInteger = 12582912.f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const Floats n = (x * 1.44269504f + toInteger) - toInteger;
  return {n, (x - n * 0.693359375f) + n * 2.12194440e-4f};
}
// e^r - 1 on [-ln 2 / 2, ln 2 / 2]; the coefficients of Cephes' expf.
ESPALIER_INLINE Floats exponentialLess1(Floats r) {
  Floats p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * r * r + r;
}
// 2^n for whole n from -126 to 127.
ESPALIER_INLINE Floats powerOf2(Floats n) { return asFloats((__builtin_convertvector(n, Ints) + 127) << 23); }

// e^x to 2 ulp. Below -87.3 it is 2^-126, above 88.3 about 2^127, and NaN gives NaN.
ESPALIER_INLINE Floats exponential(Floats x) {
  const Reduced of = reducedByLn2(x > 88.3f ? splat(88.3f) : x < -87.3f ? splat(-87.3f) : x);
  return (exponentialLess1(of.r) + 1.f) * powerOf2(of.n);
}

// f(0) to f(tasks - 1), several at once.
template <class F>
static void parallel(const Threads& threads, int tasks, const F& f) {
  if (tasks <= 1 || threads.count <= 1) {
    for (int i = 0; i < tasks; i++) f(i);
    return;
  }
  threads.run(threads.pool, tasks, [](const void* g, int i) { (*static_cast<const F*>(g))(i); }, &f);
}

// f(begin, end) for parts of `rows`, several at once where there is enough work: a part has at least 16k elements.
template <class F>
static void inPieces(const Threads& threads, int64_t rows, int64_t width, const F& f) {
  const int64_t least = (16384 + width - 1) / width;
  // A few parts for each thread, in case that they do not all come equally fast.
  const int64_t most = (rows + threads.count * 4 - 1) / (threads.count * 4);
  const int64_t step = least > most ? least : most;
  parallel(threads, (rows + step - 1) / step, [&](int piece) {
    const int64_t begin = piece * step, end = begin + step < rows ? begin + step : rows;
    f(begin, end);
  });
}

// Memory for `count` floats on a cache line, kept by the thread from call to call. Each slot is one block: who needs
// two at once takes two slots.
constexpr int kSlots = 8;
static float* scratch(int slot, size_t count) {
  struct Block {
    float* data = nullptr;
    size_t count = 0;
    ~Block() { free(data); }
  };
  static thread_local Block blocks[kSlots];
  Block& block = blocks[slot];
  if (block.count < count) {
    free(block.data);
    void* data = nullptr;
    if (posix_memalign(&data, 64, count * sizeof(float) + 64) != 0) abort();
    block.data = static_cast<float*>(data);
    block.count = count;
  }
  return block.data;
}

}  // namespace espalier::ESPALIER_ISA
