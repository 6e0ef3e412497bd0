// Plans for FLOPs from laws in N and T alone: gemstones.planning.by_params and .optimum.

{
  const { Mistake, etaSlope, eta, extrapolation, feasible, largest, lossOfSum, nearOptimal, ordinary, params } =
    globalThis.gemstones;
  const { flopsOfParams, powers, sizeFlops, sumOfTerms, unaffordable } = globalThis.gemstones;

  const [NEAREST, STEP, STEPS, FALLEN] = [10, 0.01, 6000, 1e-9]; // gemstones.planning.by_params

  const [LOG_LOW, LOG_HIGH, CELLS] = [-50, 700, 1500]; // gemstones.planning.optimum

  /** Logs of a law's symbols for N and T. */
  const logsOf = (law, logN, logT) => law.symbols.map((symbol) => (symbol === "T" ? logT : logN));

  /**
   * N* and T* under FLOPs of k·N^b·T for training, 6·N·T by default, and a third per token of inference; NaN where there is
   * no optimum.
   */
  function sizeOptimum(law, theta, budget, inferenceTokens) {
    const pair = powers(law, theta);
    const [k, b] = sizeFlops(law);
    if (pair && !inferenceTokens) {
      const [alphaOfN, beta, logAOfN, logB] = pair; // Hoffmann et al. 2022, Equation 4
      if (!(alphaOfN > 0 && beta > 0)) return [NaN, NaN];
      const alpha = alphaOfN / b; // with M = k·N^b / 6 it is a law in M and T under 6·M·T
      const logA = logAOfN - alpha * Math.log(6 / k);
      const total = alpha + beta;
      const logG = (Math.log(alpha) + logA - Math.log(beta) - logB) / total;
      const logC = Math.log(budget / 6);
      const counted = Math.exp(logG + (logC * beta) / total);
      return [k === 6 && b === 1 ? counted : ((6 * counted) / k) ** (1 / b), Math.exp(-logG + (logC * alpha) / total)];
    }
    const third = inferenceTokens / 3;
    const logN = (logT) => (Math.log(budget / k) - Math.log(Math.exp(logT) + third)) / b;
    const at = (logT) => logsOf(law, logN(logT), logT);
    const cell = (LOG_HIGH - LOG_LOW) / (CELLS - 1);
    const sums = Array.from({ length: CELLS }, (_, k) => sumOfTerms(law, theta, at(LOG_LOW + k * cell), Infinity));
    let [best, least] = [0, Infinity]; // the least of the minima inside
    for (let k = 1; k < CELLS - 1; k += 1) {
      if (sums[k] < sums[k - 1] && sums[k] <= sums[k + 1] && sums[k] < least) [best, least] = [k, sums[k]];
    }
    if (best === 0 || !Number.isFinite(least)) return [NaN, NaN];
    /** Whether the sum of terms rises with T. */
    const rises = (logT) => {
      const logs = at(logT);
      const tokens = Math.exp(logT);
      const slopes = law.symbols.map((symbol) => (symbol === "T" ? 1 : -tokens / (tokens + third) / b));
      const etas = law.terms.map((term) => eta(term, theta, logs));
      const most = Math.max(...etas);
      return law.terms.reduce((sum, term, i) => sum + Math.exp(etas[i] - most) * etaSlope(term, theta, logs, slopes), 0) > 0;
    };
    let [low, high] = [LOG_LOW + (best - 1) * cell, LOG_LOW + (best + 1) * cell];
    for (let middle = (low + high) / 2; low < middle && middle < high; middle = (low + high) / 2) {
      if (rises(middle)) high = middle;
      else low = middle;
    }
    const tokens = Math.exp(low);
    return [paramsFor(law, budget, tokens, inferenceTokens), tokens];
  }

  /** N that spends the budget on `tokens`. */
  function paramsFor(law, budget, tokens, inferenceTokens) {
    const [k, b] = sizeFlops(law);
    return (budget / (k * tokens + (k / 3) * inferenceTokens)) ** (1 / b);
  }

  /** Tokens that are left for N parameters; none where inference takes all. */
  function tokensFor(law, budget, counted, inferenceTokens) {
    const perToken = flopsOfParams(law, counted);
    return Math.max(budget - (inferenceTokens * perToken) / 3, 0) / perToken;
  }

  const predict = (law, theta, counted, tokens, steepest = Infinity) =>
    lossOfSum(law, theta, sumOfTerms(law, theta, logsOf(law, Math.log(counted), Math.log(tokens)), steepest));

  function planOverParams(request) {
    const { law, budget, inferenceTokens, factor } = request;
    const { theta } = law;
    let optimum;
    if (law.kind === "frontier") {
      const counted = law.n0 * (budget / law.c0) ** law.exponent;
      optimum = [counted, budget / (6 * counted)];
    } else {
      optimum = sizeOptimum(law, theta, budget, inferenceTokens);
      if (!optimum.every((x) => Number.isFinite(x) && x > 0)) {
        throw new Mistake(`law ${law.label} has no optimum: its exponents must be positive`, "law");
      }
    }
    const found = (counted, tokens) => ({
      shape: null,
      params: counted,
      paramsTotal: law.convention === "total" ? counted : null,
      tokens,
      tokensPerParam: tokens / counted,
      loss: theta && predict(law, theta, counted, tokens),
      flops: flopsOfParams(law, counted) * tokens,
      flopsConvention: law.flops ? "given" : `6N_${law.convention}`,
      inferenceFlops: (flopsOfParams(law, counted) / 3) * inferenceTokens,
      deviceHours: null,
      deviceHoursEnds: null,
      inferenceDeviceHours: null,
      extrapolation: extrapolation(law.fitted, {
        flops: flopsOfParams(law, counted) * tokens,
        params: counted,
        tokens,
      }),
    });
    const best = found(...optimum);
    const tokens = factor * best.tokens;
    const shown = factor === 1 ? best : found(paramsFor(law, budget, tokens, inferenceTokens), tokens);
    const grid = shapesOf(request);
    return {
      ...shown,
      optimum: best,
      ...grid,
      near: theta && nearOptimal(grid.surface, grid.losses, best.loss, request.near, { inside: valley(request, best) }),
      nearest: nearestShapes(request, shown.params),
    };
  }

  /** Whether a shape lies where the loss rises away from the optimum and is near it: gemstones.planning.by_params. */
  function valley(request, { params: optimum, loss: best }) {
    const { law, budget, inferenceTokens } = request;
    const end = (direction) => {
      let highest = -Infinity;
      for (let k = 1; k <= STEPS; k += 1) {
        const counted = optimum * Math.exp(direction * (k * STEP));
        const tokens = tokensFor(law, budget, counted, inferenceTokens);
        const loss = tokens > 0 ? predict(law, law.theta, counted, tokens) : Infinity;
        highest = Math.max(highest, loss);
        if (!(loss <= best * (1 + request.near)) || loss < highest * (1 - FALLEN)) return counted;
      }
      return direction * Infinity;
    };
    const [low, high] = [end(-1), end(1)];
    const { counted } = sizesOf(request);
    return (k) => counted[k] > low && counted[k] < high;
  }

  let sizes = { key: null };

  /** N of every shape, kept for the next request over the same shapes. */
  function sizesOf({ law, ranges }) {
    const key = JSON.stringify([law.id, ranges]);
    if (sizes.key !== key) {
      const { widths, depths } = feasible(law.models, ranges);
      const counted = new Float64Array(widths.length * depths.length);
      let k = 0;
      for (const width of widths) {
        for (const depth of depths) counted[k++] = params(law.models, width, depth, law.convention);
      }
      sizes = { key, widths, depths, counted };
    }
    return sizes;
  }

  /** Tokens and losses of every shape of ordinary aspect ratio for a law that is blind to shapes: T = C / k·N^b, less what
   * inference takes. */
  function shapesOf(request) {
    const { law, budget, inferenceTokens } = request;
    const { widths, depths, counted } = sizesOf(request);
    const shapeTokens = counted.map((n) => tokensFor(law, budget, n, inferenceTokens));
    if (!largest(shapeTokens)) throw unaffordable(request);
    const loss = shapeTokens.map((tokens, k) =>
      law.theta && tokens > 0 && ordinary(widths[Math.floor(k / depths.length)], depths[k % depths.length])
        ? predict(law, law.theta, counted[k], tokens)
        : Infinity,
    );
    return { surface: { widths, depths }, shapeTokens, losses: loss };
  }

  /** Feasible shapes of ordinary aspect ratio nearest to `target` parameters, one per width, nearest first. */
  function nearestShapes(request, target) {
    const { widths, depths, counted } = sizesOf(request);
    const found = [];
    let k = 0;
    for (const width of widths) {
      let best = { distance: Infinity };
      for (const depth of depths) {
        const distance = ordinary(width, depth) ? Math.abs(Math.log(counted[k] / target)) : Infinity;
        if (distance < best.distance) best = { distance, width, depth };
        k += 1;
      }
      if (Number.isFinite(best.distance)) found.push(best);
    }
    return found.sort((a, b) => a.distance - b.distance).slice(0, NEAREST);
  }

  Object.assign(globalThis.gemstones, { NEAREST, predict, sizeOptimum, planOverParams, tokensFor });
}
