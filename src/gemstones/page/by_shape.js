// Plans over shapes, the exact optimum of every feasible one: gemstones.planning.by_shape, .fixed_tokens and .spent.

{
  const { Mistake, UNITS, deviceHoursPerToken, feasible, flopsOfParams, flopsOfShape, formatQuantity } =
    globalThis.gemstones;
  const { argmin, coarse, extrapolation, interval, largest, lossAt, losses, nearOptimal } = globalThis.gemstones;
  const { around, ordinary, params, surfaceOf, tokensOf, unaffordable, widened } = globalThis.gemstones;

  const costIn = (request) => ({
    stepTime: request.resource === "device_hours" ? request.stepTime : null,
    inferenceTokens: request.inferenceTokens,
  });

  const FAR = 12; // times the tolerance: what the map shows of losses, and a little more

  const kept = new Map();

  /**
   * The search of a request, kept by law: every width and depth, and a surface of those about COARSE_RATIO apart. Losses are
   * smooth, so the best of all is near the best of these, as gemstones.planning finds the optima of draws.
   */
  function search(request) {
    const { law, ranges, inferenceTokens, resource } = request;
    const key = JSON.stringify([ranges, inferenceTokens, resource]);
    if (kept.get(law.id)?.key !== key) {
      const { widths, depths } = feasible(law.models, ranges);
      const [rows, columns] = [coarse(widths), coarse(depths)];
      const some = (values, indices) => Float64Array.from(indices, (i) => values[i]);
      const surface = surfaceOf(law, some(widths, rows), some(depths, columns), costIn(request));
      kept.set(law.id, { key, widths, depths, rows, columns, coarse: surface, windows: new Map() });
    }
    return kept.get(law.id);
  }

  /** The surface of the shapes from one row and column of a search to others, ends included. */
  function windowOf(request, { widths, depths, windows }, box) {
    const name = box.join();
    if (!windows.has(name)) {
      if (windows.size > MOST_WINDOWS) windows.clear();
      const [i0, i1, j0, j1] = box;
      windows.set(name, surfaceOf(request.law, widths.slice(i0, i1 + 1), depths.slice(j0, j1 + 1), costIn(request)));
    }
    return windows.get(name);
  }

  const MOST_WINDOWS = 200;

  /** The best shape of a box of a search: { i, j } of it, its loss and the tokens that `tokensIn` a surface gives it. */
  function bestIn(request, found, theta, tokensIn, box) {
    const surface = windowOf(request, found, box);
    const tokens = tokensIn(surface);
    const loss = losses(request.law, theta, surface, tokens);
    const k = argmin(loss);
    const [i, j] = [Math.floor(k / surface.depths.length), k % surface.depths.length];
    return { i: box[0] + i, j: box[2] + j, loss: loss[k], tokens: tokens[k] };
  }

  /** The best shape near the best of the coarse ones. */
  function closest(request, found, theta, tokensIn) {
    const { rows, columns } = found;
    const first = argmin(losses(request.law, theta, found.coarse, tokensIn(found.coarse)));
    const [across, down] = [around(rows, Math.floor(first / columns.length)), around(columns, first % columns.length)];
    return bestIn(request, found, theta, tokensIn, [across[0], across[across.length - 1], down[0], down[down.length - 1]]);
  }

  const everywhere = ({ widths, depths }) => [0, widths.length - 1, 0, depths.length - 1];

  /** The best shape for a budget. To a law that sees only sizes the best may lie anywhere along one: all are searched. */
  function optimumOf(request) {
    const { law, budget } = request;
    const found = search(request);
    const tokensIn = (surface) => allowedTokens(law, surface, budget);
    return law.sees === "shape"
      ? closest(request, found, law.theta, tokensIn)
      : bestIn(request, found, law.theta, tokensIn, everywhere(found));
  }

  /** Rows and columns around what is nearly as good as the best, and around the fitted runs. */
  function boxAround(request, found, best) {
    const { rows, columns, coarse: surface } = found;
    const loss = losses(request.law, request.law.theta, surface, allowedTokens(request.law, surface, request.budget));
    const most = best.loss * (1 + FAR * request.near);
    const known = (values, span) => (span ?? []).map((end) => nearestTo(values, end));
    const [is, js] = [[best.i, ...known(found.widths, request.law.fitted.width)], [best.j, ...known(found.depths, request.law.fitted.depth)]];
    loss.forEach((value, k) => {
      if (!(value <= most)) return;
      const [row, column] = [Math.floor(k / columns.length), k % columns.length];
      is.push(rows[Math.max(row - 1, 0)], rows[Math.min(row + 1, rows.length - 1)]);
      js.push(columns[Math.max(column - 1, 0)], columns[Math.min(column + 1, columns.length - 1)]);
    });
    const least = (values) => values.reduce((a, b) => Math.min(a, b));
    return [least(is), largest(is), least(js), largest(js)];
  }

  function nearestTo(values, wanted) {
    const at = values.findIndex((value) => value >= wanted);
    return at < 0 ? values.length - 1 : at;
  }

  /** Tokens of every shape; a law that does not see shapes is offered those of ordinary aspect ratio only. */
  function allowedTokens(law, surface, budget) {
    const tokens = tokensOf(surface, budget);
    if (law.sees === "shape") return tokens;
    const { widths, depths } = surface;
    return tokens.map((most, k) =>
      ordinary(widths[Math.floor(k / depths.length)], depths[k % depths.length]) ? most : 0,
    );
  }

  function planOverShapes(request) {
    const { factor } = request;
    const found = search(request);
    const best = optimumOf(request);
    if (!Number.isFinite(best.loss)) throw unaffordable(request);
    checkEdges(request, found, best);
    const optimum = chosen(request, best);
    const seen = surroundings(request, found, best);
    return { optimum, ...seen, nearest: [], ...(factor === 1 ? optimum : overtrained(request, found, optimum)) };
  }

  /** The surface around the best shape, as far as the map shows it and shapes are nearly as good, and how many are. */
  function surroundings(request, found, best) {
    const { law, budget } = request;
    const { widths, depths } = found;
    let box = law.sees === "shape" ? boxAround(request, found, best) : everywhere(found);
    for (;;) {
      const [i0, i1, j0, j1] = box;
      const surface = windowOf(request, found, box);
      const shapeTokens = allowedTokens(law, surface, budget);
      const loss = losses(law, law.theta, surface, shapeTokens);
      const start = (best.i - i0) * surface.depths.length + best.j - j0;
      const near = nearOptimal(surface, loss, best.loss, request.near, { start });
      const more = new Set(near?.truncatedBy ?? []);
      const last = { width_min: i0 === 0, width_max: i1 === widths.length - 1, depth_min: j0 === 0, depth_max: j1 === depths.length - 1 };
      // Nothing is cut off but by the search itself: else look further.
      if ([...more].every((edge) => last[edge])) return { surface, shapeTokens, losses: loss, near };
      const [across, down] = [i1 - i0 + 1, j1 - j0 + 1];
      box = [
        more.has("width_min") ? Math.max(i0 - across, 0) : i0,
        more.has("width_max") ? Math.min(i1 + across, widths.length - 1) : i1,
        more.has("depth_min") ? Math.max(j0 - down, 0) : j0,
        more.has("depth_max") ? Math.min(j1 + down, depths.length - 1) : j1,
      ];
    }
  }

  /** The shape of least loss on `factor` times the optimum's tokens, among those that the budget trains on so many. */
  function overtrained(request, found, optimum) {
    const { law, budget, factor } = request;
    const tokens = factor * optimum.tokens;
    const fixed = (surface) => allowedTokens(law, surface, budget).map((enough) => (enough >= tokens ? tokens : 0));
    // Where the budget ends losses are no longer smooth, so all shapes are searched.
    const best = bestIn(request, found, law.theta, fixed, everywhere(found));
    if (!Number.isFinite(best.loss)) {
      const most = largest(allowedTokens(law, found.coarse, budget));
      throw new Mistake(
        `the budget trains no shape of the search on so many tokens: on ${formatQuantity(most)} at most`,
        "overtraining",
      );
    }
    const [width, depth] = [found.widths[best.i], found.depths[best.j]];
    const loss = lossAt(law, law.theta, { width, depth }, tokens, Infinity);
    return { ...chosen(request, { ...best, tokens, loss }), edges: edgesOf(found, best) };
  }

  /** The plan of one shape of a search, on `tokens`: gemstones.planning.by_shape and .spent. */
  function chosen(request, { i, j, tokens, loss }) {
    const { law, stepTime, inferenceTokens } = request;
    const { widths, depths } = search(request);
    const [width, depth] = [widths[i], depths[j]];
    const counted = params(law.models, width, depth, law.convention);
    const [training, inference] = flopsOfShape(law, width, depth);
    const flops = training * tokens;
    const hours = (coefficients) =>
      tokens * deviceHoursPerToken(law.models, coefficients, stepTime.features, width, depth);
    const deviceHours = stepTime ? hours(stepTime.coefficients) : null;
    return {
      shape: { width, depth },
      params: counted,
      paramsTotal: params(law.models, width, depth, "total"),
      tokens,
      tokensPerParam: tokens / counted,
      loss,
      flops,
      flopsConvention: law.flops ? "given" : "gemstones",
      inferenceFlops: inferenceTokens * inference,
      deviceHours,
      deviceHoursEnds: stepTime?.draws.length
        ? ofNewShape(stepTime, interval(stepTime.draws.map(hours), deviceHours, stepTime.level), deviceHours)
        : null,
      inferenceDeviceHours: stepTime
        ? ((deviceHours / tokens) * inferenceTokens * inference) / training
        : null,
      extrapolation: extrapolation(law.fitted, {
        flops: law.sees === "size" ? flopsOfParams(law, counted) * tokens : flops, // as the law's runs were counted
        params: counted,
        tokens,
        width,
        depth,
      }),
    };
  }

  /** gemstones.timing.step_time.StepTime.widened. */
  const ofNewShape = ({ newShapeError }, ends, hours) =>
    ends && newShapeError !== null ? widened(ends, hours, newShapeError) : ends;

  function checkEdges({ law, budget, resource }, { widths, depths }, { i, j }) {
    const remedies = {
      width: ["allow narrower models", "allow wider models"],
      depth: ["allow shallower models", "allow deeper models"],
    };
    for (const [axis, position, values] of [
      ["width", i, widths],
      ["depth", j, depths],
    ]) {
      const upper = position === values.length - 1;
      if (values.length > 1 && (position === 0 || upper)) {
        const remedy =
          values[position] === 1
            ? "no model is shallower: change the budget"
            : `${remedies[axis][Number(upper)]} or change the budget`;
        throw new Mistake(
          `the optimum of ${law.label} for ${formatQuantity(budget)} ${UNITS[resource]} lies on the edge of the ` +
            `search, ${axis} ${values[position]} (the ${upper ? "largest" : "smallest"}): ${remedy}`,
          axis,
        );
      }
    }
  }

  /** Edges of the search that a shape lies on: an axis of one value was asked for, and no depth is below 1. */
  function edgesOf({ widths, depths }, { i, j }) {
    const edges = [];
    if (widths.length > 1 && i === 0 && widths[0] > 1) edges.push("width_min");
    if (widths.length > 1 && i === widths.length - 1) edges.push("width_max");
    if (depths.length > 1 && j === 0 && depths[0] > 1) edges.push("depth_min");
    if (depths.length > 1 && j === depths.length - 1) edges.push("depth_max");
    return edges;
  }

  Object.assign(globalThis.gemstones, { search, closest, allowedTokens, optimumOf, planOverShapes });
}
