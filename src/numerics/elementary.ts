/**
 * Elementary functions in float64 that give the same bits in every JavaScript engine. They use only `+ − × ÷` and bit patterns,
 * which ECMAScript defines exactly; `Math.exp` and its like are left to the engine, and V8 and JavaScriptCore differ in the
 * last bit of one result in ten.
 *
 * Errors are below one unit in the last place of the result (test/numerics/elementary.test.ts). Polynomials are Taylor series, long enough that the terms left out are below 2⁻⁵⁸ of the result.
 *
 * Sources: W. J. Cody and W. Waite, *Software Manual for the Elementary Functions*, 1980 (reduction by a constant in two
 * parts); K. C. Ng, *fdlibm*, 1993 (order of the corrections); T. J. Dekker, *A Floating-Point Technique for Extending the
 * Available Precision*, Numerische Mathematik 18, 1971 (sums and products as unevaluated pairs).
 */

/** ln 2 = LN2_HIGH + LN2_LOW to 85 bits. LN2_HIGH has 32, so its product with an exponent is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** An unevaluated sum `high + low`, `|low|` at most half an ulp of `high`. */
type Pair = readonly [high: number, low: number];

/** Coefficients of `(eʳ − 1 − r) / r²`. */
const EXPONENTIAL = [
  1 / 2,
  1 / 6,
  1 / 24,
  1 / 120,
  1 / 720,
  1 / 5040,
  1 / 40320,
  1 / 362880,
  1 / 3628800,
  1 / 39916800,
  1 / 479001600,
  1 / 6227020800,
];

/** Coefficients of `(atanh(s)/s − 1 − s²/3 − s⁴/5) / s⁶` in s². */
const AREA_TANGENT = [1 / 7, 1 / 9, 1 / 11, 1 / 13, 1 / 15, 1 / 17, 1 / 19, 1 / 21, 1 / 23];
const ONE_THIRD: Pair = [1 / 3, 1.850371707708594e-17];
const ONE_FIFTH: Pair = [1 / 5, -1.1102230246251566e-17];

/** 2 / √π. */
const ERF_SLOPE = 1.1283791670955126;
const ERF_SLOPE_MINUS_1 = 0.1283791670955126;

/** Coefficients of `(erf(x)/x − 2/√π) / (2/√π · x²)` in x². */
const ERF_NEAR_0 = [
  -1 / 3,
  1 / 10,
  -1 / 42,
  1 / 216,
  -1 / 1320,
  1 / 9360,
  -1 / 75600,
  1 / 685440,
  -1 / 6894720,
  1 / 76204800,
  -1 / 918086400,
  1 / 11975040000,
];

/** erf(c) for c = 3/4, 1, 5/4 … 6. */
const ERF_AT_QUARTERS: readonly Pair[] = [
  [0.7111556336535151, 4.69744077164289e-17],
  [0.8427007929497149, -2.4801011789118602e-17],
  [0.9229001282564583, -5.51775442986392e-17],
  [0.9661051464753108, -3.3867031441680696e-17],
  [0.9866716712191824, 2.1431190289565338e-17],
  [0.9953222650189527, 2.20719858329765e-17],
  [0.9985372834133188, 2.6956405885413457e-17],
  [0.999593047982555, 4.6925151097042234e-17],
  [0.9998993780778803, 4.451378916214761e-17],
  [0.9999779095030014, 5.363397058636269e-17],
  [0.9999956972205363, 5.224680575187069e-17],
  [0.9999992569016276, 4.9647279187212204e-17],
  [0.9999998862727434, 4.2276182391829615e-17],
  [0.9999999845827421, 1.44826531920025e-17],
  [0.9999999981494259, 9.86675034192752e-19],
  [0.9999999998033839, 1.2614727975054947e-17],
  [0.9999999999815149, 5.461622108299497e-17],
  [0.9999999999984626, -2.294992711807301e-17],
  [0.9999999999998869, 2.859354043191264e-17],
  [0.9999999999999927, -3.03759554483649e-17],
  [0.9999999999999996, 2.0875548107488853e-17],
  [1, -2.1519736712498913e-17],
];

/** eˣ. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x > 709.8) return Infinity;
  if (x < -745.2) return 0;
  return exponential(x, 0);
}

/** eˣ − 1, exact to the last places near 0 too. */
export function expm1(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  if (x > 50) return exp(x);
  if (x < -50) return -1;
  // 2ᵏ · (1 − 2⁻ᵏ + r + tail)
  const { k, r, tail } = reduceExponential(x, 0);
  const [high, low] = twoSum(1, -powerOfTwo(-k));
  return scale(add(high, r, tail + low), k);
}

/** ln x; −Infinity at 0, NaN below. */
export function log(x: number): number {
  if (Number.isNaN(x) || x < 0) return NaN;
  if (x === 0) return -Infinity;
  if (x === Infinity) return Infinity;
  const { m, k } = split(x);
  return logarithm(k, m - 1, 0);
}

/** ln(1 + x), exact to the last places near 0 too; −Infinity at −1, NaN below. */
export function log1p(x: number): number {
  if (Number.isNaN(x) || x < -1) return NaN;
  if (x === -1) return -Infinity;
  if (x === Infinity || x === 0) return x;
  if (x > -0.29 && x < 0.41) return logarithm(0, x, 0);
  const [high, low] = twoSum(1, x);
  const { m, k } = split(high);
  return logarithm(k, m - 1, low / high);
}

/** Hyperbolic tangent. */
export function tanh(x: number): number {
  const magnitude = Math.abs(x);
  if (Number.isNaN(x) || magnitude < 2 ** -28) return x;
  if (magnitude > 20) return Math.sign(x);
  // (e²ˣ − 1) / (e²ˣ + 1), both divided by 2ᵏ.
  const { k, r, tail } = reduceExponential(2 * magnitude, 0);
  const difference = addPairs(twoSum(1, -powerOfTwo(-k)), twoSum(r, tail));
  const sum = addPairs(twoSum(1, powerOfTwo(-k)), twoSum(r, tail));
  const [quotient] = dividePairs(difference, sum);
  return Math.sign(x) * quotient;
}

/**
 * Error function: the Maclaurin series below 5/8 (Abramowitz & Stegun 7.1.5), beyond it the Taylor series about the nearest multiple of
 * 1/4, whose terms follow from those of `e^(−(c+h)²)`: `tₙ = −(2c·tₙ₋₁ + 2·tₙ₋₂) / n`.
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  const magnitude = Math.abs(x);
  if (magnitude < 0.625) {
    const square = x * x;
    return x + x * (ERF_SLOPE_MINUS_1 + ERF_SLOPE * square * polynomial(square, ERF_NEAR_0));
  }
  if (magnitude > 6) return Math.sign(x);
  const quarter = Math.floor(4 * magnitude + 0.5);
  const c = quarter / 4;
  const h = magnitude - c;
  let previous = 0;
  let term = 1;
  let sum = h;
  for (let n = 1; n <= 14; n++) {
    const next = (-2 * h * (c * term + h * previous)) / n;
    previous = term;
    term = next;
    sum += (term * h) / (n + 1);
  }
  const [high, low] = ERF_AT_QUARTERS[quarter - 3];
  return Math.sign(x) * (high + (low + ERF_SLOPE * exp(-c * c) * sum));
}

/**
 * xʸ, with the special cases of IEEE 754 (and of C, hence ONNX Runtime): unlike JavaScript's `**`, `pow(1, NaN)` and
 * `pow(±1, ±Infinity)` are 1.
 */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  const magnitude = Math.abs(x);
  if (Math.abs(y) === Infinity) return magnitude === 1 ? 1 : magnitude > 1 === y > 0 ? Infinity : 0;
  const isOdd = Math.abs(y % 2) === 1;
  const sign = isOdd && (x < 0 || Object.is(x, -0)) ? -1 : 1;
  if (magnitude === 0) return y > 0 ? sign * 0 : sign * Infinity;
  if (magnitude === Infinity) return y > 0 ? sign * Infinity : sign * 0;
  if (x < 0 && !Number.isInteger(y)) return NaN;
  const logarithm = preciseLog(magnitude);
  const exponent = y * logarithm[0];
  if (exponent > 710) return sign * Infinity;
  if (exponent < -746) return sign * 0;
  const [high, low] = multiplyPairs([y, 0], logarithm);
  return sign * exponential(high, low);
}

/** `e^(x + low)` for −746 ≤ x ≤ 710 and a `low` of at most an ulp of x. */
function exponential(x: number, low: number): number {
  const { k, r, tail } = reduceExponential(x, low);
  return scale(add(1, r, tail), k);
}

/** `e^(x + low) = 2ᵏ · (1 + r + tail)` with |r| ≤ 0.35. */
function reduceExponential(x: number, low: number): { k: number; r: number; tail: number } {
  const k = Math.floor(x * Math.LOG2E + 0.5);
  const high = x - k * LN2_HIGH;
  const rest = k * LN2_LOW - low;
  const r = high - rest;
  const correction = high - r - rest;
  return { k, r, tail: r * r * polynomial(r, EXPONENTIAL) + (correction + correction * r) };
}

/** `k · ln 2 + ln(1 + f + correction)` for √½ ≤ 1 + f ≤ √2; with s = f / (2 + f), ln(1 + f) is 2·atanh(s). */
function logarithm(k: number, f: number, correction: number): number {
  const s = f / (2 + f);
  const z = s * s;
  const series = 2 * z * (1 / 3 + z * (1 / 5 + z * polynomial(z, AREA_TANGENT)));
  const half = 0.5 * f * f;
  // ln(1 + f) = f − (f²/2 − s · (f²/2 + series))
  const tail = k * LN2_LOW + correction - (half - s * (half + series));
  return k === 0 ? add(f, 0, tail) : add(k * LN2_HIGH, f, tail);
}

/** ln x to about 70 bits, for a positive, finite x. */
function preciseLog(x: number): Pair {
  const { m, k } = split(x);
  const s = dividePairs([m - 1, 0], twoSum(m, 1));
  const z = multiplyPairs(s, s);
  let series = addPairs(ONE_FIFTH, multiplyPairs(z, [polynomial(z[0], AREA_TANGENT), 0]));
  series = addPairs(ONE_THIRD, multiplyPairs(z, series));
  series = addPairs([1, 0], multiplyPairs(z, series));
  const [high, low] = multiplyPairs(s, series);
  const ln2 = twoSum(k * LN2_HIGH, k * LN2_LOW);
  return addPairs(ln2, [2 * high, 2 * low]);
}

/** `Σ coefficients[i] · xⁱ`, by Horner's rule. */
function polynomial(x: number, coefficients: readonly number[]): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + coefficients[i];
  return sum;
}

const bits = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8));

/** 2ⁿ for an integer −1022 ≤ n ≤ 1023. */
function powerOfTwo(n: number): number {
  bits.setUint32(0, (n + 1023) << 20);
  bits.setUint32(4, 0);
  return bits.getFloat64(0);
}

/** `x · 2ⁿ` for −1100 ≤ n ≤ 1100, rounded once where the result is subnormal. */
function scale(x: number, n: number): number {
  const part = n > 1000 ? 1000 : n < -1000 ? -1000 : n;
  return x * powerOfTwo(part) * powerOfTwo(n - part);
}

/** A positive, finite number as `m · 2ᵏ` with √½ < m ≤ √2. */
function split(x: number): { m: number; k: number } {
  const isSubnormal = x < 2 ** -1022;
  bits.setFloat64(0, isSubnormal ? x * 2 ** 54 : x);
  const high = bits.getUint32(0);
  const k = (high >>> 20) - 1023 - (isSubnormal ? 54 : 0);
  bits.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  const m = bits.getFloat64(0);
  return m > Math.SQRT2 ? { m: m / 2, k: k + 1 } : { m, k };
}

/** `a + b + tail`, the rounding error of the first sum made good; for |a| ≥ |b|, or a = 0. */
function add(a: number, b: number, tail: number): number {
  const sum = a + b;
  return sum + (b - (sum - a) + tail);
}

/** a + b exactly, for |a| ≥ |b|. */
function fastTwoSum(a: number, b: number): Pair {
  const sum = a + b;
  return [sum, b - (sum - a)];
}

/** a + b exactly. */
function twoSum(a: number, b: number): Pair {
  const sum = a + b;
  const ofB = sum - a;
  return [sum, a - (sum - ofB) + (b - ofB)];
}

/** a · b exactly (Dekker, Veltkamp), for factors below 2⁹⁹⁰. */
function twoProduct(a: number, b: number): Pair {
  const product = a * b;
  const aHigh = upperHalf(a);
  const bHigh = upperHalf(b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return [product, aHigh * bHigh - product + aHigh * bLow + aLow * bHigh + aLow * bLow];
}

/** The upper 26 bits of x. */
function upperHalf(x: number): number {
  const shifted = (2 ** 27 + 1) * x;
  return shifted - (shifted - x);
}

function addPairs(a: Pair, b: Pair): Pair {
  const [high, low] = twoSum(a[0], b[0]);
  return fastTwoSum(high, low + (a[1] + b[1]));
}

function multiplyPairs(a: Pair, b: Pair): Pair {
  const [high, low] = twoProduct(a[0], b[0]);
  return fastTwoSum(high, low + (a[0] * b[1] + a[1] * b[0]));
}

function dividePairs(a: Pair, b: Pair): Pair {
  const quotient = a[0] / b[0];
  const [high, low] = twoProduct(quotient, b[0]);
  return fastTwoSum(quotient, (a[0] - high - low + a[1] - quotient * b[1]) / b[0]);
}
