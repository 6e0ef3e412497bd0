// Numbers as people write and read them, and intervals from bootstrap draws.
//
// Each function mirrors one of Python, named beside it; tests/report/page compares them in a browser.

/** A mistake of the reader's: what was given, the rule, the remedy. `field` is the control it is about. */
class Mistake extends Error {
  constructor(message, field = "budget") {
    super(message);
    this.field = field;
  }
}

const SUFFIXES = { "": 0, K: 3, M: 6, B: 9, G: 9, T: 12, P: 15, E: 18, Z: 21, Y: 24 };
const GROUPED = "[1-9][0-9]{0,2}(?<separator>[,_])[0-9]{3}(?:\\k<separator>[0-9]{3})*";
const PLAIN = "(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?";
const QUANTITY = new RegExp(`^\\s*([+-]?(?:${GROUPED}|${PLAIN}))\\s*([KMBGTPEZY]?)\\s*$`, "i");

/** gemstones.units.parse_quantity: `100B`, `1e22`, `2048`, `1,000,000`. */
function parseQuantity(text, what = "quantity", field = "budget") {
  const value = readNumber(text);
  if (value === null) throw new Mistake(`${what} ‘${text}’ is not a number: ${remedy(text)}`, field);
  if (!(Number.isFinite(value) && value > 0)) {
    throw new Mistake(`${what} ‘${text}’ must be positive and finite`, field);
  }
  return value;
}

/** gemstones.units.read_number: null where it is none. */
function readNumber(text) {
  const match = QUANTITY.exec(text);
  if (!match) return null;
  const [mantissa, exponent = "0"] = match[1].replace(/[_,]/g, "").toLowerCase().split("e");
  // One conversion of the whole decimal: 0.3 * 1e9 would not be 3e8 exactly.
  return Number(`${mantissa}e${Number(exponent) + SUFFIXES[match[3].toUpperCase()]}`);
}

/** How to write what was meant. */
function remedy(text) {
  const separated = text.trim();
  if (separated.includes(",") !== separated.includes("_") && separated.length <= 40) {
    const commaLast = separated.lastIndexOf(",") > separated.lastIndexOf(".");
    const noCommas = separated.replace(/,/g, "");
    const decimal = commaLast ? separated.replace(/\./g, "").replace(/,/g, ".") : noCommas;
    for (const meant of [decimal, noCommas]) {
      const plain = meant.replace(/_/g, "");
      if (readNumber(plain) !== null) {
        return `only whole numbers have thousands separators, in groups of three; write ${plain}`;
      }
    }
  }
  return "write it like 2048, 1e22, 50M or 100B";
}

/** As parseQuantity, for a whole number; gemstones.units.parse_count. */
function parseCount(text, what, field) {
  const value = parseQuantity(text, what, field);
  if (value !== Math.floor(value)) throw new Mistake(`${what} ‘${text}’ must be a whole number`, field);
  return value;
}

/** gemstones.units.format_quantity: 22.8B, 1e16. */
function formatQuantity(value, digits = 3) {
  if (!Number.isFinite(value) || value === 0) return String(value);
  const rounded = Number(value.toExponential(digits - 1));
  const size = Math.abs(rounded);
  if (size < 1) return general(rounded, digits);
  if (size >= 1e15) return flopsText(rounded, digits);
  for (const suffix of ["T", "B", "M", "K", ""]) {
    const scaled = rounded / 10 ** SUFFIXES[suffix];
    if (Math.abs(scaled) >= 1) {
      const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(scaled))));
      const fixed = scaled.toFixed(decimals);
      return (decimals ? fixed.replace(/\.?0+$/, "") : fixed) + suffix;
    }
  }
  return String(rounded);
}

/** A little off `value` where it lies half-way: JavaScript then rounds up, Python to the even digit. */
function offTie(value, digits) {
  const exact = value.toPrecision(100).replace(/e.*$/, "").replace(/[-.]/g, "").replace(/^0+|0+$/g, "");
  const downwards = exact.length === digits + 1 && exact.endsWith("5") && Number(exact[digits - 1]) % 2 === 0;
  return downwards ? value * (1 - 1e-12) : value;
}

/** Python's `:.{digits}g`. */
function general(value, digits) {
  if (value === 0) return "0";
  value = offTie(value, digits);
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  if (Number(exponent) < -4 || Number(exponent) >= digits) {
    const sign = exponent[0] === "-" ? "-" : "+";
    const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
    return `${short}e${sign}${exponent.slice(1).padStart(2, "0")}`;
  }
  return String(Number(value.toPrecision(digits)));
}

/** gemstones.numbers.number_text: three digits, large ones with a suffix. */
function numberText(value, digits = 3) {
  value = offTie(value, digits);
  const size = Math.abs(Number(value.toExponential(digits - 1)));
  if (value === 0 || size >= 1e4) return formatQuantity(value, digits);
  if (size < 1e-3) return general(value, digits);
  return value.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
}

/** gemstones.display.ends_text: [low, high]. */
function endsText([low, high], write) {
  return `[${write(low)}, ${write(high)}]`;
}

/** gemstones.units.format_flops: 1e22. */
function flopsText(value, digits = 3) {
  return general(value, digits).replace(/e\+0*/, "e");
}

/** Φ: the standard normal distribution, by the series of erf, whose terms are all positive. */
function normalCdf(z) {
  const x = Math.abs(z) / Math.SQRT2;
  if (x > 6.5) return z > 0 ? 1 : 0;
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-18; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  const erf = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  return z > 0 ? 0.5 + 0.5 * erf : 0.5 - 0.5 * erf;
}

/** Φ⁻¹, by Newton's method from 0: Φ is convex to the left of it, so steps never pass the root. */
function normalQuantile(p) {
  const tail = Math.min(p, 1 - p);
  let z = 0;
  for (let step = 1, rounds = 0; Math.abs(step) > 1e-16 && rounds < 100; rounds += 1) {
    step = (normalCdf(z) - tail) * Math.sqrt(2 * Math.PI) * Math.exp((z * z) / 2);
    z -= step;
  }
  return p < 0.5 ? z : -z;
}

/** numpy.quantile of ascending values, linear between them. */
function quantile(sorted, q) {
  const at = (sorted.length - 1) * q;
  const low = Math.max(0, Math.min(sorted.length - 1, Math.floor(at)));
  const high = Math.min(sorted.length - 1, low + 1);
  const share = at - low;
  const step = sorted[high] - sorted[low];
  return share < 0.5 ? sorted[low] + step * share : sorted[high] - step * (1 - share);
}

/** gemstones.laws.interval.enough: 40 draws, and so many that one lies beyond each end. */
function enough(draws, level) {
  return draws >= Math.max(40, Math.ceil((2 / (1 - level)) * (1 - 1e-9)));
}

/** gemstones.laws.interval.interval: centred on the estimate, in the scale on which draws are normal. */
function interval(draws, estimate, level) {
  if (!enough(draws.length, level)) return null;
  let below = 0;
  for (const draw of draws) below += draw < estimate ? 1 : draw === estimate ? 0.5 : 0;
  const count = draws.length;
  const share = Math.min(1 - 0.5 / count, Math.max(0.5 / count, below / count));
  const centre = normalQuantile(share);
  const reach = normalQuantile((1 + level) / 2);
  return enclosing(draws, estimate, normalCdf(centre - reach), normalCdf(centre + reach));
}

/** gemstones.laws.new_run.error_at: of [decades, error] pairs; where the distance is not known, the farthest's. */
function errorAt(errors, decades) {
  const at = decades === null ? -1 : errors.findIndex(([edge]) => edge >= Math.abs(decades));
  return (at < 0 ? errors.at(-1) : errors[at])[1];
}

/** gemstones.laws.new_run.widened: ends around an estimate, further apart by an error of its logarithm. */
function widened(ends, estimate, error) {
  const [low, high] = ends.map((end) => Math.hypot(Math.log(end / estimate), error));
  return [estimate * Math.exp(-low), estimate * Math.exp(high)];
}

/** gemstones.laws.interval.percentile_interval: for what is discrete. */
function percentileInterval(draws, estimate, level) {
  if (!enough(draws.length, level)) return null;
  return enclosing(draws, estimate, (1 - level) / 2, (1 + level) / 2);
}

function enclosing(draws, estimate, low, high) {
  const sorted = Float64Array.from(draws).sort();
  return [Math.min(quantile(sorted, low), estimate), Math.max(quantile(sorted, high), estimate)];
}

globalThis.gemstones = {
  Mistake,
  parseQuantity,
  parseCount,
  formatQuantity,
  numberText,
  endsText,
  flopsText,
  general,
  normalCdf,
  normalQuantile,
  enough,
  interval,
  errorAt,
  widened,
  percentileInterval,
};
