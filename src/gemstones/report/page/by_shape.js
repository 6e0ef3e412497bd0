// Plans over shapes, the exact optimum of every feasible one: gemstones.planning.by_shape, .fixed_tokens and .spent.

{
  const { Mistake, UNITS, deviceHoursPerToken, feasible, flopsOfParams, flopsOfShape, formatQuantity } =
    globalThis.gemstones;
  const { argmin, coarse, extrapolation, interval, largest, lossAt, losses, nearOptimal } = globalThis.gemstones;
  const { ordinary, params, part, surfaceOf, tokensOf, unaffordable, widened, withoutTokens } = globalThis.gemstones;

  const costIn = (request) => ({
    stepTime: request.resource === "device_hours" ? request.stepTime : null,
    inferenceTokens: request.inferenceTokens,
  });

  let last = { key: null };

  /** The surface of a request, kept for the next one over the same shapes and costs. */
  function search(request) {
    const { law, ranges, inferenceTokens, resource } = request;
    const key = JSON.stringify([law.id, ranges, inferenceTokens, resource]);
    if (last.key !== key) {
      const { widths, depths } = feasible(law.models, ranges);
      const surface = surfaceOf(law, widths, depths, costIn(request));
      last = { key, surface, rows: coarse(widths), columns: coarse(depths) };
      last.coarse = part(surface, last.rows, last.columns);
      last.shapeLosses = withoutTokens(law, law.theta, surface);
    }
    return last;
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
    const { law, budget, factor } = request;
    const { surface, shapeLosses } = search(request);
    const tokens = allowedTokens(law, surface, budget);
    const loss = losses(law, law.theta, surface, tokens, shapeLosses);
    const best = argmin(loss);
    if (!Number.isFinite(loss[best])) throw unaffordable(request);
    checkEdges(request, surface, best);
    const optimum = chosen(request, surface, best, tokens[best], loss[best]);
    const found = { optimum, surface, shapeTokens: tokens, losses: loss, nearest: [] };
    found.near = nearOptimal(surface, loss, loss[best], request.near, { start: best });
    return { ...found, ...(factor === 1 ? optimum : overtrained(request, surface, tokens, optimum)) };
  }

  /** The shape of least loss on `factor` times the optimum's tokens, among those that the budget trains on so many. */
  function overtrained(request, surface, most, optimum) {
    const { law, factor } = request;
    const tokens = factor * optimum.tokens;
    const fixed = most.map((enough) => (enough >= tokens ? tokens : 0));
    const loss = losses(law, law.theta, surface, fixed, search(request).shapeLosses);
    const best = argmin(loss);
    if (!Number.isFinite(loss[best])) {
      throw new Mistake(
        `the budget trains no shape of the search on so many tokens: on ${formatQuantity(largest(most))} at most`,
        "overtraining",
      );
    }
    const width = surface.widths[Math.floor(best / surface.depths.length)];
    const depth = surface.depths[best % surface.depths.length];
    const found = chosen(
      request,
      surface,
      best,
      tokens,
      lossAt(law, law.theta, { width, depth }, tokens, Infinity),
    );
    return { ...found, edges: edgesOf(surface, found.index) };
  }

  /** The plan of one shape of a surface, on `tokens`: gemstones.planning.by_shape and .spent. */
  function chosen(request, surface, k, tokens, loss) {
    const { law, stepTime, inferenceTokens } = request;
    const index = [Math.floor(k / surface.depths.length), k % surface.depths.length];
    const [width, depth] = [surface.widths[index[0]], surface.depths[index[1]]];
    const counted = params(law.models, width, depth, law.convention);
    const [training, inference] = flopsOfShape(law, width, depth);
    const flops = training * tokens;
    const hours = (coefficients) =>
      tokens * deviceHoursPerToken(law.models, coefficients, stepTime.features, width, depth);
    const deviceHours = stepTime ? hours(stepTime.coefficients) : null;
    return {
      index,
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

  function checkEdges({ law, budget, resource }, surface, k) {
    const at = [Math.floor(k / surface.depths.length), k % surface.depths.length];
    const remedies = {
      width: ["allow narrower models", "allow wider models"],
      depth: ["allow shallower models", "allow deeper models"],
    };
    for (const [axis, position, values] of [
      ["width", at[0], surface.widths],
      ["depth", at[1], surface.depths],
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
  function edgesOf({ widths, depths }, [i, j]) {
    const edges = [];
    if (widths.length > 1 && i === 0 && widths[0] > 1) edges.push("width_min");
    if (widths.length > 1 && i === widths.length - 1) edges.push("width_max");
    if (depths.length > 1 && j === 0 && depths[0] > 1) edges.push("depth_min");
    if (depths.length > 1 && j === depths.length - 1) edges.push("depth_max");
    return edges;
  }

  Object.assign(globalThis.gemstones, { search, allowedTokens, planOverShapes });
}
