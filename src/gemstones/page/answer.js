// The explorer's answer: a plan in a sentence, in numbers, on the map and in notes.

{
  const { MAP_BANDS, NEAR_BUDGET, UNITS, createIsoflop, createMap, flopsText, general, measuredNear } =
    globalThis.gemstones;
  const { endsText, newRunNote, numberText, offerPlot } = globalThis.gemstones;

  const byId = (id) => document.getElementById(id);

  /** Of the shapes nearest to N those within a fifth of it: where models are small the nearest may be far. */
  const closeTo = ({ nearest }) => nearest.filter(({ distance }) => distance <= Math.log(1.2));

  /** A budget as it is written, in its unit. */
  const budgetText = (budget, resource) => (resource === "flops" ? flopsText(budget) : numberText(budget));

  /** gemstones.planning.shown.edges_text. */
  const edgesText = (edges) =>
    edges.map((edge) => edge.split("_")).map(([size, end]) => `${end === "min" ? "least" : "greatest"} ${size}`).join(", ");

  /** Of laws in the table, where several have one colour: of the first of them, the second and so on. */
  const MARKS = [
    '<circle cx="5" cy="5" r="5" fill="currentColor"/>',
    '<circle cx="5" cy="5" r="4" fill="none" stroke="currentColor" stroke-width="2"/>',
    '<path d="M0.5,0.5h9v9h-9Z" fill="currentColor"/>',
    '<path d="M1.2,1.2h7.6v7.6h-7.6Z" fill="none" stroke="currentColor" stroke-width="2"/>',
  ];

  /** From how many decades beyond the runs a caution is said louder. */
  const LOUDER = [0, 0.5, 1.5];

  /**
   * What `show`s plans in `answer`; `paramsWords` are the words for conventions of N, `measured` the runs, `industry` models
   * of others. `choose` is told which law the reader picks of the others.
   */
  function createAnswer(answer, paramsWords, { measured, industry }, choose) {
    const map = createMap(byId("map"), measured, industry, (shape) => isoflop.point(shape));
    const isoflop = createIsoflop(byId("isoflop-curve"), measured, (point) => map.point(point?.shape ?? null));

    const titled = (id) => () => `${byId("prescription").textContent} ${byId(id).textContent.split(/[.,;:] /)[0]}`;
    offerPlot(byId("map-downloads"), byId("map"), "shapes", titled("map-caption"), map.table);
    offerPlot(byId("isoflop-downloads"), byId("isoflop-curve"), "isoflop", titled("isoflop-caption"), isoflop.table);

    const ofConvention = (convention) => paramsWords[convention];
    const emphasised = (text) => Object.assign(document.createElement("strong"), { textContent: text });

    function show(shown) {
      const { made, found, law: of, wanted } = shown;
      answer.dataset.shown = "true";
      byId("prescription").dataset.budget = `${budgetText(wanted.budget, wanted.resource)} ${UNITS[wanted.resource]}`;
      if (!found) delete answer.dataset.ready;
      const shape = made.shape
        ? `${made.shape.width}x${made.shape.depth}`
        : `${numberText(made.params)} parameters`;
      byId("prescription").replaceChildren(
        "Train ",
        emphasised(shape),
        made.shape ? ` (${numberText(made.params)} parameters) on ` : " on ",
        emphasised(`${numberText(made.tokens)} tokens`),
        ...(of.flags.length
          ? [Object.assign(document.createElement("span"), { className: "flag", textContent: "†" })]
          : []),
        made.loss === null ? "." : `, to a predicted loss of ${made.loss.toFixed(4)} ${of.lossUnit}.`,
      );
      byId("level").textContent = of.level ? `${general(100 * of.level, 3)}% interval` : "Interval";
      byId("quantities").replaceChildren(...quantities(shown).map(quantityRow));
      byId("plan-notes").replaceChildren(...notes(shown).map(([text, flag]) => noteItem(text, flag)));
      caution(made.extrapolation, of);
      map.draw(shown);
      explainMap(shown);
      showCurve(shown, null);
    }

    /** The isoFLOP curve of what is shown, with the intervals of its points where these are known. */
    function showCurve(shown, bands) {
      isoflop.draw({ ...shown, paramsWords: ofConvention(shown.law.convention) }, bands);
      explainCurve(shown, bands);
    }

    /** How far the answer reaches beyond the runs, the louder the farther. */
    function caution({ sentence, flops_decades: decades }, of) {
      const far = decades === null ? 1 : LOUDER.filter((from) => Math.abs(decades) > from).length;
      const tested = of.newRun.length ? of.newRun.at(-1)[0] : null;
      const untested = of.own && decades !== null && decades !== 0 && (tested === null || Math.abs(decades) > tested);
      byId("reach").dataset.far = far;
      byId("reach").textContent =
        `${far > 1 ? "Caution: " : ""}${far > 1 ? sentence : sentence[0].toUpperCase() + sentence.slice(1)}` +
        (untested ? `; no backtest of this law reaches so far${far > 2 ? ": treat it as a guess" : ""}.` : ".");
    }

    /** Every law's plan for one budget, `rows` of `allLaws`, and what was trained for about as much, of `modelsNear`. */
    function showOthers(rows, models, { law: of, budget }) {
      byId("others-title").textContent = `Every law, for ${flopsText(budget)} FLOPs`;
      byId("others").replaceChildren(...rows.filter((row) => row.made).map((row) => otherRow(row, of)), ...models.map(modelRow));
      const tested = rows.find((row) => row.off !== null)?.law;
      const without = rows.filter((row) => !row.made).map((row) => row.law.label);
      byId("others-caption").textContent =
        (of.kind === "frontier"
          ? "This law predicts no loss, so not what another costs."
          : `Costs: how much higher the loss is at another law's N, if ${of.label} is right (–: no such shape).`) +
        " N as each law counts it." +
        (tested
          ? ` Off by: ${general(100 * tested.newRunLevel, 3)}% of the losses of runs that a law was not fitted to lay within this of what it said (backtests; –: none).`
          : "") +
        (models.length ? " Diamonds: models that took half to twice these FLOPs (6·N·T), with the tokens that they had; their costs are of their N alone." : "") +
        (without.length ? ` No answer here: ${without.join(", ")}.` : "");
    }

    function otherRow({ law, made, cost, off }, of) {
      const row = document.createElement("tr");
      if (law === of) row.className = "chosen";
      const name = document.createElement("td");
      const button = Object.assign(document.createElement("button"), {
        type: "button",
        className: "quiet",
        textContent: law.label + (law.flags.length ? " †" : ""),
        title: `Use ${law.label}; N counts ${ofConvention(law.convention)} parameters`,
      });
      button.addEventListener("click", () => choose(law.id));
      name.innerHTML = `<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">${MARKS[law.mark % MARKS.length]}</svg>`;
      name.firstChild.style.color = `var(--${law.color})`;
      name.append(button);
      row.append(name, ...numbers(made, off, law === of ? "0" : percent(cost)));
      return row;
    }

    const percent = (cost) => (cost === null ? "–" : `${cost < 0 ? "−" : "+"}${(100 * Math.abs(cost)).toFixed(2)}%`);

    const numbers = ({ params, tokens }, off, cost) =>
      [params, tokens, tokens / params].map((x) => numberText(x)).concat(off === null ? "–" : `${(100 * off).toFixed(1)}%`, cost).map((text) =>
        Object.assign(document.createElement("td"), { className: "number", textContent: text }),
      );

    function modelRow({ model, cost }) {
      const row = Object.assign(document.createElement("tr"), { className: "industry" });
      const name = document.createElement("td");
      name.innerHTML = '<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><path d="M5,0L10,5L5,10L0,5Z"/></svg>';
      name.append(model.name);
      row.append(name, ...numbers(model, null, percent(cost)));
      return row;
    }

    function explainCurve(shown, bands) {
      const { law: of, wanted, found, made } = shown;
      const points = measuredNear(shown, measured);
      const color = `var(--${of.color})`;
      const items = [];
      if (of.kind !== "frontier") {
        // Where few shapes can be built, the best of them lies above the best of all.
        const least = made.shape ? "least loss of every size, of real-valued shapes" : "least loss of every size";
        items.push([`<path d="M0,8H16" stroke="${color}" stroke-width="2.5"/>`, least]);
        if (made.shape) items.push(['<circle class="best" cx="8" cy="8" r="6"/>', "the best shape that can be built"]);
        if (bands?.every(Boolean))
          items.push([`<rect width="16" height="16" fill="${color}" fill-opacity="0.16"/>`, `${general(100 * of.level, 3)}% interval of the fit`]);
        if (found?.ends?.params) items.push([`<path d="M0,8H16" stroke="${color}" stroke-width="5"/>`, "interval of N*"]);
        if (points.length) items.push(['<circle class="run" cx="8" cy="8" r="3.5"/>', "measured"]);
        if (made.optimum.params !== made.params) items.push(['<circle class="moved" cx="8" cy="8" r="6"/>', "at these tokens"]);
      }
      byId("isoflop-key").replaceChildren(...items.map(keyItem));
      byId("isoflop-caption").textContent = curveWords(of, wanted, points);
    }

    function curveWords(of, wanted, points) {
      if (of.kind === "frontier") return "";
      const what = `Every size at ${budgetText(wanted.budget, wanted.resource)} ${UNITS[wanted.resource]}`;
      const within = `spent within ${general(100 * (NEAR_BUDGET - 1), 2)}% of the budget`;
      if (!of.own) return `${what}. Measured losses are of other data than this law's, so they are not shown.`;
      if (wanted.resource !== "flops") return `${what}.`;
      if (points.length) return `${what}; dots are ${points.length === 1 ? "the run" : `${points.length} runs`} when they had ${within}.`;
      return `${what}. No run ${within}: nothing here is measured.`;
    }

    /** [name, value, interval] of everything planned. */
    function quantities({ made, found, wanted, law: of }) {
      const ends = (name, write) => {
        const pair = found?.ends?.[name];
        return pair ? endsText(pair, write) : "";
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
        const hours = made.deviceHoursEnds ? endsText(made.deviceHoursEnds, numberText) : "";
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
          `The shape lies on the edge of the search (${edgesText(made.edges)}): a better one may lie beyond.`,
        ]);
      if (made.near) list.push([nearWords(made.near, of)]);
      if (made.nearest.length) {
        const close = closeTo(made).map(({ width, depth }) => `${width}x${depth}`);
        list.push([close.length ? `Shapes nearest to N: ${close.join(", ")}.` : "No feasible shape is within a fifth of N."]);
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
        ? `; they reach the edge of the search (${edgesText(near.truncatedBy)})`
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
      if (closeTo(made).length) items.push(['<circle class="nearest" cx="8" cy="8" r="4"/>', "nearest to N"]);
      if (found?.optima.length)
        items.push(['<circle class="draw" cx="8" cy="8" r="3.5"/>', `optima of ${found.optima.length} resamples`]);
      if (of.own && measured.some((run) => run.width)) items.push(['<circle class="run" cx="8" cy="8" r="2.5"/>', "runs"]);
      if (map.industryShown()) items.push(['<path class="industry" d="M8,3L13,8L8,13L3,8Z"/>', "industry models"]);
      byId("key").replaceChildren(...items.map(keyItem));
      byId("map-caption").textContent =
        of.kind === "frontier"
          ? "This law predicts no loss: only the shapes nearest to its N are shown."
          : `Every feasible shape at this budget of ${budgetText(wanted.budget, wanted.resource)} ` +
            `${UNITS[wanted.resource]}, coloured by how ` +
            "little its predicted loss lies above the least.";
      byId("map-hint").textContent = of.kind === "frontier" ? "" : "Hover, tap or use the arrow keys.";
    }

    function keyItem([mark, words]) {
      const item = document.createElement("li");
      item.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true">${mark}</svg>`; // no data in it
      item.append(words);
      return item;
    }

    return { show, showCurve, showOthers };
  }

  Object.assign(globalThis.gemstones, { budgetText, createAnswer });
}
