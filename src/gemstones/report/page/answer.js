// The explorer's answer: a plan in a sentence, in numbers, on the map and in notes.

{
  const { MAP_BANDS, UNITS, createMap, flopsText, general, newRunNote, numberText } = globalThis.gemstones;

  const byId = (id) => document.getElementById(id);

  /** A budget as it is written, in its unit. */
  const budgetText = (budget, resource) => (resource === "flops" ? flopsText(budget) : numberText(budget));

  /** What `show`s plans in `answer`; `paramsWords` are the words for conventions of N. */
  function createAnswer(answer, paramsWords) {
    const map = createMap(byId("map"));

    const ofConvention = (convention) => paramsWords[convention];
    const emphasised = (text) => Object.assign(document.createElement("strong"), { textContent: text });

    function show(shown) {
      const { made, found, law: of } = shown;
      answer.dataset.shown = "true";
      if (!found) delete answer.dataset.ready;
      const shape = made.shape
        ? `${made.shape.width}x${made.shape.depth}`
        : `${numberText(made.params)} parameters`;
      byId("prescription").replaceChildren(
        "Train ",
        emphasised(shape),
        " on ",
        emphasised(`${numberText(made.tokens)} tokens`),
        ...(of.flags.length
          ? [Object.assign(document.createElement("span"), { className: "flag", textContent: "†" })]
          : []),
        made.loss === null ? "." : `, to a predicted loss of ${made.loss.toFixed(4)} ${of.lossUnit}.`,
      );
      byId("level").textContent = of.level ? `${general(100 * of.level, 3)}% interval` : "Interval";
      byId("quantities").replaceChildren(...quantities(shown).map(quantityRow));
      byId("plan-notes").replaceChildren(...notes(shown).map(([text, flag]) => noteItem(text, flag)));
      map.draw(shown);
      explainMap(shown);
    }

    /** [name, value, interval] of everything planned. */
    function quantities({ made, found, wanted, law: of }) {
      const ends = (name, write) => {
        const pair = found?.ends?.[name];
        return pair ? pair.map((end) => write(end)).join(" – ") : "";
      };
      const whole = (value) => value.toFixed(0);
      const loss = (value) => value.toFixed(4);
      const rows = [];
      if (made.shape) {
        rows.push(["Width", whole(made.shape.width), ends("width", whole)]);
        rows.push(["Depth", whole(made.shape.depth), ends("depth", whole)]);
      }
      rows.push([
        `N, parameters (${ofConvention(of.convention)})`,
        numberText(made.params),
        ends("params", numberText),
      ]);
      rows.push(["T, tokens", numberText(made.tokens), ends("tokens", numberText)]);
      rows.push(["T/N", numberText(made.tokensPerParam), ends("tokensPerParam", numberText)]);
      if (made.loss !== null) {
        const named = `Predicted loss, ${of.lossUnit}`;
        rows.push([of.level ? `${named}, of a new run` : named, loss(made.loss), ends("loss", loss)]);
        if (of.level) rows.push(["The same, of the fit, if its form is right", loss(made.loss), ends("lossOfFit", loss)]);
      }
      if (made.loss !== null && wanted.factor !== 1) {
        const percent = (value) => `${(100 * value).toFixed(2)}%`;
        rows.push([
          "Loss over the optimum's",
          percent(made.loss / made.optimum.loss - 1),
          ends("lossIncrease", percent),
        ]);
      }
      const counting = {
        gemstones: "Appendix G",
        given: of.flops?.words,
        [`6N_${of.convention}`]: `6·N·T, ${ofConvention(of.convention)} N`,
      }[made.flopsConvention];
      rows.push([`FLOPs of training (${counting})`, flopsText(made.flops), ends("flops", flopsText)]);
      if (wanted.inferenceTokens) rows.push(["FLOPs of inference", flopsText(made.inferenceFlops), ""]);
      if (made.deviceHours !== null) {
        const hours = made.deviceHoursEnds?.map((end) => numberText(end)).join(" – ") ?? "";
        rows.push(["Device hours of training", numberText(made.deviceHours), hours]);
        if (wanted.inferenceTokens)
          rows.push(["Device hours of inference", numberText(made.inferenceDeviceHours), ""]);
      }
      return rows;
    }

    function quantityRow([name, value, interval]) {
      const row = document.createElement("tr");
      for (const [i, text] of [name, value, interval || "–"].entries()) {
        row.append(
          Object.assign(document.createElement("td"), { textContent: text, className: i ? "number" : "" }),
        );
      }
      return row;
    }

    function notes({ made, found, law: of, wanted }) {
      const list = of.flags.map((flag) => [`† ${flag}`, true]);
      const how = of.level
        ? (found?.note ?? of.interval_note)
        : (of.interval_note ?? "no interval: this law comes without bootstrap draws");
      list.push([`Intervals: ${how.replace(/^no intervals?: /, "none, ")}.`]);
      if (of.level) {
        const note = newRunNote(of, made.extrapolation.flops_decades);
        list.push([`${note[0].toUpperCase()}${note.slice(1)}.`]);
      }
      if (wanted.factor !== 1) list.push(["Intervals are of this very design, its shape and tokens held."]);
      list.push([`Reach: ${made.extrapolation.sentence}.`]);
      if (made.edges?.length)
        list.push([
          `The shape lies on the edge of the search (${made.edges.join(", ")}): a better one may lie beyond.`,
        ]);
      if (made.near) list.push([nearWords(made.near, of)]);
      if (made.nearest.length) {
        list.push([
          `Shapes nearest to N: ${made.nearest.map(({ width, depth }) => `${width}x${depth}`).join(", ")}.`,
        ]);
      }
      if (wanted.stepTime && made.shape) list.push(...wanted.stepTime.notes.map((note) => [note]));
      const { models } = of;
      const multiple = of.ranges.widthMultiple > 1 ? of.ranges.widthMultiple : 2 * models.head_size;
      list.push([
        `Shapes counted with vocabulary ${models.vocabulary.toLocaleString("en")}, head size ${models.head_size}, ` +
          `${models.queries_per_kv} queries per kv head, MLPs ${models.mlp_expansion} times as wide, context ` +
          `${models.context.toLocaleString("en")}; widths are multiples of ${multiple}.`,
      ]);
      list.push(...of.assumptions.map((sentence) => [`Assumed: ${sentence}.`]));
      list.push([`Law: ${of.form}${of.source ? `; ${of.source}` : ""}.`]);
      return list;
    }

    function nearWords(near, of) {
      const cut = near.truncatedBy.length
        ? `; they reach the edge of the search (${near.truncatedBy.join(", ")})`
        : "";
      const blind = of.kind === "params" ? " (to this law all shapes of one size are the same)" : "";
      return (
        `${near.count.toLocaleString("en")} ${near.count === 1 ? "shape" : "shapes"} within ` +
        `${general(100 * near.tolerance, 3)}% of the least loss${blind}: widths ${near.width[0]} to ${near.width[1]}, ` +
        `depths ${near.depth[0]} to ${near.depth[1]}${cut}.`
      );
    }

    function noteItem(text, flag) {
      return Object.assign(document.createElement("li"), { textContent: text, className: flag ? "caution" : "" });
    }

    function explainMap({ made, found, law: of, wanted, near }) {
      const items = [];
      if (of.kind !== "frontier") {
        MAP_BANDS.forEach(([times, alpha], i) => {
          const words = `${i ? "" : "loss within "}${general(100 * times * near, 2)}%`;
          items.push([`<rect width="16" height="16" fill="var(--accent)" fill-opacity="${alpha}"/>`, words]);
        });
      }
      if (made.shape) items.push(['<circle class="best" cx="8" cy="8" r="6.5"/>', "optimum"]);
      if (made.shape && wanted.factor !== 1)
        items.push(['<circle class="moved" cx="8" cy="8" r="6"/>', "at these tokens"]);
      if (!made.shape) items.push(['<circle class="nearest" cx="8" cy="8" r="4"/>', "nearest to N"]);
      if (found?.optima.length)
        items.push(['<circle class="draw" cx="8" cy="8" r="3.5"/>', `optima of ${found.optima.length} resamples`]);
      byId("key").replaceChildren(
        ...items.map(([mark, words]) => {
          const item = document.createElement("li");
          item.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true">${mark}</svg>`; // no data in it
          item.append(words);
          return item;
        }),
      );
      byId("map-caption").textContent =
        of.kind === "frontier"
          ? "This law predicts no loss: only the shapes nearest to its N are shown."
          : `Every feasible shape at this budget of ${budgetText(wanted.budget, wanted.resource)} ` +
            `${UNITS[wanted.resource]}, coloured by how ` +
            "little its predicted loss lies above the least. Hover, tap or use the arrow keys.";
    }

    return { show };
  }

  Object.assign(globalThis.gemstones, { budgetText, createAnswer });
}
