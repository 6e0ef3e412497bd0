// Plans for FLOPs from laws in N and T alone: gemstones.planning.by_params and .optimum.

{
  const { Mistake, etaSlope, eta, extrapolation, feasible, largest, lossOfSum, nearOptimal, ordinary, params } =
    globalThis.gemstones;
  const { powers, sumOfTerms, unaffordable } = globalThis.gemstones;

  const NEAREST = 10; // gemstones.planning.by_params

  const [LOG_LOW, LOG_HIGH, CELLS] = [-50, 700, 1500]; // gemstones.planning.optimum

  /** Logs of a law's symbols for N and T. */
  const logsOf = (law, logN, logT) => law.symbols.map((symbol) => (symbol === "T" ? logT : logN));

  /** N* and T* under FLOPs of 6·N·T for training and 2·N per token of inference; NaN where there is no optimum. */
  function sizeOptimum(law, theta, budget, inferenceTokens) {
    const pair = powers(law, theta);
    if (pair && !inferenceTokens) {
      const [alpha, beta, logA, logB] = pair; // Hoffmann et al. 2022, Equation 4
      if (!(alpha > 0 && beta > 0)) return [NaN, NaN];
      const total = alpha + beta;
      const logG = (Math.log(alpha) + logA - Math.log(beta) - logB) / total;
      const logC = Math.log(budget / 6);
      return [Math.exp(logG + (logC * beta) / total), Math.exp(-logG + (logC * alpha) / total)];
    }
    const third = inferenceTokens / 3;
    const logN = (logT) => Math.log(budget / 6) - Math.log(Math.exp(logT) + third);
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
      const slopes = law.symbols.map((symbol) => (symbol === "T" ? 1 : -tokens / (tokens + third)));
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
    return [budget / (6 * tokens + 2 * inferenceTokens), tokens];
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
      flops: 6 * counted * tokens,
      flopsConvention: `6N_${law.convention}`,
      inferenceFlops: 2 * counted * inferenceTokens,
      deviceHours: null,
      deviceHoursEnds: null,
      inferenceDeviceHours: null,
      extrapolation: extrapolation(law.fitted, { flops: 6 * counted * tokens, params: counted, tokens }),
    });
    const best = found(...optimum);
    const tokens = factor * best.tokens;
    const shown = factor === 1 ? best : found(budget / (6 * tokens + 2 * inferenceTokens), tokens);
    const grid = shapesOf(request);
    return {
      ...shown,
      optimum: best,
      ...grid,
      near: theta && nearOptimal(grid.surface, grid.losses, best.loss, request.near),
      nearest: nearestShapes(request, shown.params),
    };
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

  /** Tokens and losses of every shape of ordinary aspect ratio for a law that is blind to shapes: T = C / 6N, less what
   * inference takes. */
  function shapesOf(request) {
    const { law, budget, inferenceTokens } = request;
    const { widths, depths, counted } = sizesOf(request);
    const shapeTokens = counted.map((n) => Math.max(budget - 2 * inferenceTokens * n, 0) / (6 * n));
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

  Object.assign(globalThis.gemstones, { NEAREST, predict, sizeOptimum, planOverParams });
}
