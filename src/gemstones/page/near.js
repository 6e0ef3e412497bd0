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

  /**
   * Which of the shapes `near` (1 or 0, by widths and depths) hang together with that at position `start`:
   * gemstones.planning.near.connected.
   */
  function connected({ widths, depths }, near, start) {
    const columns = depths.length;
    const found = new Uint8Array(near.length);
    const todo = [[Math.floor(start / columns), start % columns, start % columns]];
    while (todo.length) {
      const [i, low, high] = todo.pop();
      const row = i * columns;
      for (let j = low; j <= Math.min(high, columns - 1); j += 1) {
        if (!near[row + j] || found[row + j]) continue;
        let [first, last] = [j, j];
        while (first > 0 && near[row + first - 1]) first -= 1;
        while (last < columns - 1 && near[row + last + 1]) last += 1;
        found.fill(1, row + first, row + last + 1);
        for (const other of [i - 1, i + 1]) {
          if (other < 0 || other >= widths.length) continue;
          const ratio = (widths[i] / widths[other]) ** 2;
          const shallow = Math.floor(depths[first] * Math.min(ratio, 1) - depths[0]) - 1;
          const deep = Math.ceil(depths[last] * Math.max(ratio, 1) - depths[0]) + 1;
          todo.push([other, Math.max(shallow, 0), deep]);
        }
      }
    }
    return found;
  }

  /**
   * How many shapes are within `tolerance` of the best loss, and what they span: gemstones.planning.near. They are those
   * connected to the shape at `start` or, for a law that sees none, those `inside`.
   */
  function nearOptimal(surface, loss, best, tolerance, { start, inside }) {
    const [rows, columns] = [surface.widths.length, surface.depths.length];
    const most = best * (1 + tolerance);
    let near = Uint8Array.from(loss, (value, k) => Number(value <= most && (!inside || inside(k))));
    if (!inside) near = connected(surface, near, start);
    let [count, i0, i1, j0, j1] = [0, rows, -1, columns, -1];
    for (let i = 0, k = 0; i < rows; i += 1) {
      for (let j = 0; j < columns; j += 1, k += 1) {
        if (near[k]) {
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
