// Functions that JavaScript's Math lacks, to the last bits of a double: the reference the engines are compared with.

const { abs, exp, log1p, max, PI, sign, sqrt } = Math

/**
 * The error function, by the series with only positive terms, so that nothing cancels.
 *
 * @source Abramowitz and Stegun, formula 7.1.6
 */
export const erf = (x: number): number => {
  const size = abs(x)
  if (!(size < 6)) return Number.isNaN(x) ? x : sign(x)
  let term = size
  let total = size
  for (let n = 1; term > total * 1e-17; n++) {
    term *= (2 * size * size) / (2 * n + 1)
    total += term
  }
  const value = (2 / sqrt(PI)) * exp(-size * size) * total
  return x < 0 || Object.is(x, -0) ? -value : value
}

/** 1 / (1 + e⁻ˣ), which never overflows to NaN. */
export const sigmoid = (x: number): number => 1 / (1 + exp(-x))

/** log(1 + eˣ), exact at both ends. */
export const softplus = (x: number): number => max(x, 0) + log1p(exp(-abs(x)))

/** Density of the normal distribution. */
export const normalDensity = (x: number): number => exp(-0.5 * x * x) / sqrt(2 * PI)

/** Distribution function of the normal distribution. */
export const normalDistribution = (x: number): number => 0.5 * (1 + erf(x / Math.SQRT2))

/**
 * gelu by tanh is x · sigmoid(steepness · (x + cubic · x³)): 0.5 (1 + tanh u) is sigmoid(2u), with one exponential and no
 * cancellation for negative x. The kernels' own copies are held against these by the tests of each engine.
 *
 * @source Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", §2
 */
export const steepness: number = 2 * sqrt(2 / PI)
export const cubic = 0.044715
