// Functions of whole vectors, NaN for NaN, to 4 ulp but for gelu (to 2^-21 of itself above -5) and for sine and cosine
// (to 2^-22 of 1). Results below 2^-126 are 0, and arguments below may count as 0. The polynomials are least-squares fits
// on Chebyshev nodes, but for those of Cephes: the exponential, the logarithm, sine and cosine.
#pragma once

#include <cmath>
#include <immintrin.h>

#include "simd.h"

namespace espalier::ESPALIER_ISA {

ESPALIER_INLINE Ints bitsOf(Floats v) {
  Ints bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}
ESPALIER_INLINE Floats absolute(Floats x) { return asFloats(bitsOf(x) & 0x7fffffff); }
ESPALIER_INLINE Floats withSignOf(Floats x, Floats sign) {
  return asFloats((bitsOf(x) & 0x7fffffff) | (bitsOf(sign) & static_cast<int32_t>(0x80000000)));
}

ESPALIER_INLINE Floats squareRoot(Floats x) {
#if defined(__AVX512F__)
  return _mm512_sqrt_ps(x);
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(x);
#else
  return _mm_sqrt_ps(x);
#endif
}

ESPALIER_INLINE Floats naturalExponential(Floats x) {
  const Reduced of = reducedByLn2(x > 89.f ? splat(89.f) : x < -87.4f ? splat(-87.4f) : x);
  // In two steps, because 2^128 is no float.
  const Floats scaled = (exponentialLess1(of.r) + 1.f) * powerOf2(smaller(of.n, splat(127)));
  return x < -87.336544f ? splat(0) : of.n > 127.f ? scaled + scaled : scaled;
}

ESPALIER_INLINE Floats exponentialMinus1(Floats x) {
  // From 88.9 on the result is infinite, below -20 it is -1.
  const Reduced of = reducedByLn2(x > 88.9f ? splat(88.9f) : x < -20.f ? splat(-20.f) : x);
  const Floats half = powerOf2(of.n - 1.f);
  const Floats result = half * exponentialLess1(of.r) + (half - 0.5f);
  return of.n == 0.f ? exponentialLess1(of.r) : result + result;
}

// log(1 + f) for f on [√½ - 1, √2 - 1], and n ln 2 besides.
ESPALIER_INLINE Floats logarithmNear1(Floats f, Floats n) {
  Floats p = splat(7.0376836292e-2f);
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const Floats square = f * f;
  return (f + (square * (p * f - 0.5f) - n * 2.12194440e-4f)) + n * 0.693359375f;
}

ESPALIER_INLINE Floats naturalLogarithm(Floats x) {
  // The exponent is cut so that the rest lies around 1.
  const Ints bits = bitsOf(x) - 0x3f3504f3;  // √½
  const Floats n = __builtin_convertvector(bits >> 23, Floats);
  const Floats rest = asFloats((bits & 0x007fffff) + 0x3f3504f3);
  const Floats result = logarithmNear1(rest - 1.f, n);
  const Floats special = x < 0.f ? splat(NAN) : x < 1.17549435e-38f ? splat(-INFINITY) : x;
  return x >= 1.17549435e-38f && x <= 3.40282347e38f ? result : special;
}

// log(1 + y) for y from 0 to 1.
ESPALIER_INLINE Floats logarithmOf1Plus(Floats y) {
  const Ints large = y > 0.41421356f;
  return logarithmNear1(large ? (y - 1.f) * 0.5f : y, large ? splat(1) : splat(0));
}

ESPALIER_INLINE Floats hyperbolicTangent(Floats x) {
  const Floats t = exponentialMinus1(-2.f * absolute(x));
  return withSignOf(t / (t + 2.f), x);
}

ESPALIER_INLINE Floats logistic(Floats x) { return 1.f / (1.f + naturalExponential(-x)); }

// The normal distribution's mass behind |x|, given its density there without the factor 1 / √2π.
ESPALIER_INLINE Floats normalTail(Floats size, Floats density) {
  const Floats u = 1.f / (1.f + 0.3f * size);
  Floats p = splat(-0.02023320272564888f);
  p = p * u + 0.1103881374001503f;
  p = p * u - 0.22358866035938263f;
  p = p * u + 0.185899555683136f;
  p = p * u - 0.07479086518287659f;
  p = p * u + 0.09382585436105728f;
  p = p * u + 0.07913646101951599f;
  p = p * u + 0.11008907109498978f;
  p = p * u + 0.11958768218755722f;
  p = p * u + 0.11968597024679184f;
  return density * u * p;
}
struct Normal {
  Floats distribution, density;
};
ESPALIER_INLINE Normal normalAt(Floats x) {
  const Floats density = naturalExponential(-0.5f * x * x);
  const Floats tail = normalTail(absolute(x), density);
  return {x > 0.f ? 1.f - tail : tail, density * 0.398942280f};
}

ESPALIER_INLINE Floats errorFunction(Floats x) {
  const Floats square = x * x;
  Floats series = splat(7.847259257687256e-5f);
  series = series * square - 0.0008008189033716917f;
  series = series * square + 0.005188099108636379f;
  series = series * square - 0.026853691786527634f;
  series = series * square + 0.1128358244895935f;
  series = series * square - 0.3761262595653534f;
  series = series * square + 1.1283791065216064f;
  const Floats far = 1.f - 2.f * normalTail(absolute(x) * 1.41421356f, naturalExponential(-square));
  return square < 1.f ? series * x : withSignOf(far, x);
}

ESPALIER_INLINE Floats gelu(Floats x) { return x * normalAt(x).distribution; }
ESPALIER_INLINE Floats geluSlope(Floats x) {
  const Normal at = normalAt(x);
  return at.distribution + x * at.density;
}

// Of gelu by tanh: 2√(2/π), and 0.044715 times that.
constexpr float kSteepness = 1.59576912f, kCubic = 0.0713548163f;
ESPALIER_INLINE Floats geluTanh(Floats x) { return x * logistic(x * (x * x * kCubic + kSteepness)); }
ESPALIER_INLINE Floats silu(Floats x) { return x * logistic(x); }

// The derivative of x times the logistic function of u, given x times that of u.
ESPALIER_INLINE Floats gatedSlope(Floats u, Floats slope) {
  const Floats e = naturalExponential(-absolute(u));
  const Floats large = 1.f / (1.f + e), small = e * large;  // the gate and what it lacks of 1, or the other way round
  return (u > 0.f ? large : small) + slope * (large * small);
}
// Far out the gate is 0 or 1 and its slope 0, which an infinite factor would make NaN.
ESPALIER_INLINE Floats bounded(Floats x) { return x > 100.f ? splat(100) : x < -100.f ? splat(-100) : x; }
ESPALIER_INLINE Floats siluSlope(Floats x) { return gatedSlope(x, bounded(x)); }
ESPALIER_INLINE Floats geluTanhSlope(Floats x) {
  const Floats near = bounded(x), square = near * near;
  return gatedSlope(near * (square * kCubic + kSteepness), near * (square * (3.f * kCubic) + kSteepness));
}

ESPALIER_INLINE Floats rectified(Floats x) { return x > 0.f ? x : x != x ? x : splat(0); }

ESPALIER_INLINE Floats softplus(Floats x) {
  return rectified(x) + logarithmOf1Plus(naturalExponential(-absolute(x)));
}

// The sine of x + quarters · π/2.
ESPALIER_INLINE Floats sineOf(Floats x, int quarters) {
  const float toInteger = 12582912.f;
  const Floats n = (x * 0.636619772f + toInteger) - toInteger;
  // π/2 in three parts, of which the first two are exact times n.
  const Floats r = ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188216e-8f;
  const Floats square = r * r;
  const Floats sine =
      r + r * square * (-1.6666654611e-1f + square * (8.3321608736e-3f - square * 1.9515295891e-4f));
  const Floats cosine =
      1.f - 0.5f * square +
      square * square * (4.166664568298827e-2f + square * (-1.388731625493765e-3f + square * 2.443315711809948e-5f));
  const Ints quadrant = __builtin_convertvector(n, Ints) + quarters;
  const Floats value = (quadrant & 1) != 0 ? cosine : sine;
  return asFloats(bitsOf(value) ^ ((quadrant & 2) << 30));
}
// Behind 8192 the parts of π/2 have too few digits: those vectors, and infinities, are left to the library.
ESPALIER_INLINE bool isNear(Floats x) {
  const Ints far = !(absolute(x) <= 8192.f);
  int64_t parts[kLanes / 2], any = 0;
  memcpy(parts, &far, sizeof parts);
  for (const int64_t part : parts) any |= part;
  return any == 0;
}
ESPALIER_INLINE Floats eachByLibrary(Floats x, float (*f)(float)) {
  for (int i = 0; i < kLanes; i++) x[i] = f(x[i]);
  return x;
}
// The sum of its series would take the sign of -0.
ESPALIER_INLINE Floats sine(Floats x) {
  if (!isNear(x)) return eachByLibrary(x, sinf);
  return x == 0.f ? x : sineOf(x, 0);
}
ESPALIER_INLINE Floats cosine(Floats x) { return isNear(x) ? sineOf(x, 1) : eachByLibrary(x, cosf); }

}  // namespace espalier::ESPALIER_ISA
