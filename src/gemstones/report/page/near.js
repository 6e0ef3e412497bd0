// What both kinds of plans need: which shapes are ordinary, which are nearly as good as the best, and what is too dear.

{
  const { Mistake, formatQuantity } = globalThis.gemstones;

  const ASPECT_RATIOS = [256 / 80, 2560 / 8]; // gemstones.planning.by_params
  const UNITS = { flops: "FLOPs", device_hours: "device hours" };

  const ordinary = (width, depth) => width / depth >= ASPECT_RATIOS[0] && width / depth <= ASPECT_RATIOS[1];

  /** Math.max takes no hundred thousand arguments. */
  const largest = (values) => values.reduce((a, b) => Math.max(a, b), 0);

  function unaffordable({ budget, inferenceTokens, resource }) {
    return new Mistake(
      `inference on ${formatQuantity(inferenceTokens)} tokens alone takes more than ${formatQuantity(budget)} ` +
        `${UNITS[resource]} for every shape searched: raise the budget, lower the inference, or allow smaller shapes`,
      "inference",
    );
  }

  /** How many shapes are within `tolerance` of the best loss, and what they span: gemstones.planning.near. */
  function nearOptimal(surface, loss, best, tolerance) {
    const [rows, columns] = [surface.widths.length, surface.depths.length];
    const most = best * (1 + tolerance);
    let [count, i0, i1, j0, j1] = [0, rows, -1, columns, -1];
    for (let i = 0, k = 0; i < rows; i += 1) {
      for (let j = 0; j < columns; j += 1, k += 1) {
        if (loss[k] <= most) {
          count += 1;
          [i0, i1, j0, j1] = [Math.min(i0, i), Math.max(i1, i), Math.min(j0, j), Math.max(j1, j)];
        }
      }
    }
    if (!count) return null;
    const edges = {
      width_min: i0 === 0,
      width_max: i1 === rows - 1,
      depth_min: j0 === 0,
      depth_max: j1 === columns - 1,
    };
    return {
      tolerance,
      count,
      width: [surface.widths[i0], surface.widths[i1]],
      depth: [surface.depths[j0], surface.depths[j1]],
      truncatedBy: Object.keys(edges).filter((name) => edges[name]),
    };
  }

  Object.assign(globalThis.gemstones, { ASPECT_RATIOS, UNITS, ordinary, largest, unaffordable, nearOptimal });
}
