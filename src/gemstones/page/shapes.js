// Shapes: what they count, what they cost, and which are feasible.
//
// `models` are the fields of gemstones.laws.law.Models; a shape is a width and a depth of such models.

{
  const { Mistake } = globalThis.gemstones;

  /** gemstones.shape.KV_HEADS_EXCEPTIONS, of heads of size 128: [query heads, queries per kv head, kv heads]. */
  const KV_HEADS_EXCEPTIONS = [[3, 2, 1]];
  const MOST_SHAPES = 4_000_000;

  function kvException(models, width) {
    if (models.head_size !== 128) return null;
    const heads = width / models.head_size;
    const found = KV_HEADS_EXCEPTIONS.find(
      ([queries, ratio]) => queries === heads && ratio === models.queries_per_kv,
    );
    return found ? found[2] : null;
  }

  /** gemstones.accounting.parameters.params */
  function params(models, width, depth, convention) {
    const heads = width / models.head_size;
    const kvHeads = kvException(models, width) ?? heads / models.queries_per_kv;
    const size = models.head_size;
    const attention = depth * (width * (heads + 2 * kvHeads) * size + heads * size * width);
    const mlp = depth * 3 * width * (width * models.mlp_expansion);
    const norm = depth * 2 * width + width;
    const blocks = attention + mlp + norm;
    const embedding = models.vocabulary * width; // and as many in the head
    return { total: blocks + embedding + embedding, no_embedding: blocks + embedding, non_embedding: blocks }[
      convention
    ];
  }

  /** FLOPs per token of Appendix G: [forward, backward]; gemstones.accounting.flops. */
  function appendixG(models, width, depth) {
    const { context, head_size: size, vocabulary } = models;
    const heads = width / size;
    const kv = (2 * heads) / models.queries_per_kv; // keys and values
    const mlpWidth = width * models.mlp_expansion;

    // One block, forward, over a whole sequence.
    const projections = 2 * context * (heads + kv) * width * size + 3.5 * context * (heads + kv / 2) * size;
    const core =
      context * context * size * heads + 3 * context * context * heads + 2 * context * context * size * heads;
    const output = 2 * context * width * size * heads;
    const mlp = 6 * context * width * mlpWidth + 10 * context * mlpWidth;
    const rest = 2 * width * context + 2 * 7 * width * context; // residuals and norms

    // Once per model: the final norm and the logits.
    const once = 7 * width * context + 2 * context * width * vocabulary;

    const forward = depth * (projections + core + output + mlp + rest) + once;
    // Flash attention recomputes its core on the way back: 2.5 times the forward instead of 2.
    const backward = depth * (2 * projections + 2.5 * core + 2 * output) + 2 * (depth * (mlp + rest) + once);
    return [forward / context, backward / context];
  }

  /** FLOPs to train on one token, by Appendix G. */
  function flopsPerToken(models, width, depth) {
    const [forward, backward] = appendixG(models, width, depth);
    return forward + backward;
  }

  /**
   * FLOPs of a shape per token as the runs of a law were counted: [of training, of inference]; gemstones.planning.cost and
   * gemstones.laws.flops_model. Those of a law that learned none are Appendix G's.
   */
  function flopsOfShape({ models, flops }, width, depth) {
    if (!flops || flops.kind === "ratio") {
      const [forward, backward] = appendixG(models, width, depth);
      const ratio = flops ? flops.constants[0] : 1;
      return [ratio * (forward + backward), ratio * forward];
    }
    let training;
    if (flops.kind === "params") {
      training = flopsOfParams({ flops }, params(models, width, depth, flops.convention));
    } else {
      const [a, b, c] = flops.constants;
      training = a * depth * width ** 2 + b * depth * width + c * width;
    }
    return [training, training / 3];
  }

  /** [k, b] of FLOPs per token k·N^b, for laws that see no shape: 6·N unless others were learned. */
  const sizeFlops = ({ flops }) => (flops?.kind === "params" ? flops.constants : [6, 1]);

  /** To train a model of N parameters on one token. */
  function flopsOfParams(law, counted) {
    const [k, b] = sizeFlops(law);
    return k * counted ** b;
  }

  /** The multiplications alone, forward and backward, with the actual kv heads. */
  function matmulFlopsPerToken(models, width, depth) {
    const heads = width / models.head_size;
    const kvHeads = kvException(models, width) ?? heads / models.queries_per_kv;
    const size = models.head_size;
    const attention = depth * (width * (heads + 2 * kvHeads) * size + heads * size * width);
    const mlp = depth * 3 * width * (width * models.mlp_expansion);
    const weights = 2 * (attention + mlp + width * models.vocabulary);
    return 3 * (weights + 4 * models.context * (heads * size) * depth);
  }

  /** What step times may grow with, per token: gemstones.timing.step_time.FEATURES. */
  const FEATURES = {
    flops_matmul: matmulFlopsPerToken,
    width_depth: (models, width, depth) => width * depth,
    depth: (models, width, depth) => depth,
    constant: () => 1,
  };

  /** Columns that a shape determines: gemstones.laws.columns.SHAPE_COLUMNS, by name. */
  function column(name) {
    const known = {
      width: (models, width) => width,
      depth: (models, width, depth) => depth,
      aspect_ratio: (models, width, depth) => width / depth,
      flops_per_token: flopsPerToken,
      projection_flops: (models, width, depth) => 2 * depth * width ** 2,
    };
    for (const other of ["total", "no_embedding", "non_embedding"]) {
      known[`params_${other}`] = (models, width, depth) => params(models, width, depth, other);
    }
    return known[name];
  }

  const gcd = (a, b) => (b ? gcd(b, a % b) : a);

  /**
   * Allowed widths and depths, ascending: gemstones.design.feasible.Constraints with an even number of heads.
   * `ranges` is { widthMin, widthMax, depthMin, depthMax, widthMultiple }.
   */
  function feasible(models, ranges) {
    const { widthMin, widthMax, depthMin, depthMax, widthMultiple } = ranges;
    for (const [what, low, high] of [
      ["width", widthMin, widthMax],
      ["depth", depthMin, depthMax],
    ]) {
      if (!(low >= 1 && low <= high)) {
        throw new Mistake(`${what} range ${low} to ${high} is empty: the minimum must be 1 to the maximum`, what);
      }
    }
    const heads = 2 * models.head_size;
    const step = (heads / gcd(heads, widthMultiple)) * widthMultiple;
    const first = Math.ceil(widthMin / step) * step;
    const widths = [];
    for (let width = first; width <= widthMax && widths.length <= MOST_SHAPES; width += step) {
      const whole = (width / models.head_size) % models.queries_per_kv === 0;
      if (whole || kvException(models, width) !== null) widths.push(width);
    }
    if (!widths.length) {
      const multiple = widthMultiple > 1 ? ` is a multiple of ${widthMultiple} with` : " has";
      throw new Mistake(
        `no width from ${widthMin} to ${widthMax}${multiple} whole heads of size ${models.head_size} at ` +
          `${models.queries_per_kv} queries per kv head: widen the range`,
        "width",
      );
    }
    if (widths.length * (depthMax - depthMin + 1) > MOST_SHAPES) {
      throw new Mistake(
        `widths ${widthMin} to ${widthMax} and depths ${depthMin} to ${depthMax} are more than ` +
          `${MOST_SHAPES.toLocaleString("en")} shapes: narrow the ranges`,
        "width",
      );
    }
    const depths = Float64Array.from({ length: depthMax - depthMin + 1 }, (_, i) => depthMin + i);
    return { widths: Float64Array.from(widths), depths };
  }

  Object.assign(globalThis.gemstones, {
    KV_HEADS_EXCEPTIONS,
    FEATURES,
    params,
    appendixG,
    flopsPerToken,
    flopsOfShape,
    flopsOfParams,
    sizeFlops,
    matmulFlopsPerToken,
    column,
    feasible,
  });
}
