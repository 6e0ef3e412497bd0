// The explorer's controls: from what the reader sets to a plan and its intervals, and to the address and back.

{
  const { Mistake, address, budgetText, createAnswer, flopsText, formatQuantity, general } = globalThis.gemstones;
  const { allLaws, curveIntervals, intervals, isoflopCurve, modelsNear, parseCount, parseQuantity, plan } = globalThis.gemstones;

  const source = document.getElementById("explorer-data");
  if (source) start(JSON.parse(source.textContent));

  function start(data) {
    const laws = data.laws.map(unpackLaw);
    const stepTimes = Object.fromEntries(
      Object.entries(data.step_times).map(([name, model]) => [name, unpackStepTime(model)]),
    );
    const panel = document.querySelector(".explorer");
    const form = panel;
    const answer = panel.querySelector(".answer");
    const field = (name) => form.elements[name];
    const byId = (id) => document.getElementById(id);
    panel.hidden = false;
    const { show, showCurve, showOthers } = createAnswer(answer, data.params_words, data, chooseLaw);

    // ---- State: what the controls hold, as text; only what differs from the start is in the address

    const lawOf = (id) => laws.find((law) => law.id === id) ?? laws[0];
    const defaults = (law) => ({
      budget: flopsText(data.budget),
      resource: "flops",
      law: laws[0].id,
      overtraining: "1",
      inference: "0",
      width_min: String(law.ranges.widthMin),
      width_max: String(law.ranges.widthMax),
      depth_min: String(law.ranges.depthMin),
      depth_max: String(law.ranges.depthMax),
    });
    const NAMES = Object.keys(defaults(laws[0]));
    let law = laws[0];

    const readControls = () => Object.fromEntries(NAMES.map((name) => [name, field(name).value.trim()]));

    /** Put a state into the controls; returns what of it is not known, in words, and was left out. */
    function writeControls(state) {
      const unknown = [];
      const wanted = state.get("law");
      law = lawOf(wanted);
      if (wanted !== null && law.id !== wanted) unknown.push(`it has no law ‘${short(wanted)}’`);
      const values = defaults(law);
      for (const [name, value] of state) {
        if (!NAMES.includes(name)) unknown.push(`it has nothing called ‘${short(name)}’`);
        else if (name === "resource" && !(value in units)) unknown.push(`it has no unit ‘${short(value)}’`);
        else if (value.length >= 100) unknown.push(`its ${name.replace("_", " ")} has ${value.length} characters`);
        else if (name !== "law") values[name] = value;
      }
      values.law = law.id;
      for (const name of NAMES) field(name).value = values[name];
      moveSliders();
      return unknown;
    }

    const units = Object.keys(stepTimes).length ? { flops: 1, device_hours: 1 } : { flops: 1 };
    const short = (text) => (text.length > 40 ? `${text.slice(0, 40)}…` : text);

    function stateOf(values) {
      const usual = defaults(law);
      const state = new URLSearchParams();
      for (const name of NAMES) if (values[name] !== usual[name]) state.set(name, values[name]);
      return state;
    }

    // ---- From controls to a request

    function request(values) {
      const factor = parseFactor(values.overtraining);
      const inferenceTokens = parseInference(values.inference);
      const ranges = { ...law.ranges };
      for (const [name, key, what] of [
        ["width_min", "widthMin", "width"],
        ["width_max", "widthMax", "width"],
        ["depth_min", "depthMin", "depth"],
        ["depth_max", "depthMax", "depth"],
      ]) {
        ranges[key] = parseCount(values[name], what, what);
        if (ranges[key] > 10_000_000)
          throw new Mistake(`${what} ${values[name]} must be at most 10,000,000`, what);
      }
      return {
        law,
        budget: parseQuantity(values.budget, "budget", "budget"),
        resource: values.resource,
        stepTime: stepTimes[law.step_time] ?? null,
        inferenceTokens,
        factor,
        near: data.near,
        ranges,
      };
    }

    /** A factor written as 4, 0.5 or 1/4. */
    function parseFactor(text) {
      const [over, under = "1", ...more] = text.split("/");
      if (more.length)
        throw new Mistake(`overtraining ‘${text}’ is not a factor: write it like 4 or 1/4`, "overtraining");
      const factor =
        parseQuantity(over, "overtraining", "overtraining") / parseQuantity(under, "overtraining", "overtraining");
      if (factor < 1 / 16 || factor > 16) {
        throw new Mistake(`overtraining ${text} must be a factor from 1/16 to 16`, "overtraining");
      }
      return factor;
    }

    function parseInference(text) {
      if (Number(text) === 0 && text !== "") return 0;
      const tokens = parseQuantity(text, "inference tokens", "inference");
      if (tokens < 1e9 || tokens > 1e15) {
        throw new Mistake(`inference tokens ${text} must be 0, or from 1B to 1e15`, "inference");
      }
      return tokens;
    }

    // ---- Sliders follow the typed values, and write them

    const sliders = {
      overtraining: {
        input: byId("overtraining-slider"),
        write: (at) => (at < 0 && Number.isInteger(at) ? `1/${2 ** -at}` : general(2 ** at, 3)),
        read: (text) => Math.log2(parseFactor(text)),
        words: (text) => `${text} times the optimal tokens`,
      },
      inference: {
        input: byId("inference-slider"),
        write: (at) => (at < 9 ? "0" : formatQuantity(10 ** at, 3).replace("e+", "e")),
        read: (text) => (parseInference(text) ? Math.log10(parseInference(text)) : 8.75),
        words: (text) => (text === "0" ? "no inference" : `${text} tokens`),
      },
    };

    function moveSliders() {
      for (const [name, { input, read, words }] of Object.entries(sliders)) {
        try {
          input.value = String(read(field(name).value));
          input.setAttribute("aria-valuetext", words(field(name).value));
        } catch (error) {
          if (!(error instanceof Mistake)) throw error;
        }
      }
    }

    for (const [name, { input, write, words }] of Object.entries(sliders)) {
      input.addEventListener("input", (event) => {
        event.stopPropagation();
        field(name).value = write(Number(input.value));
        input.setAttribute("aria-valuetext", words(field(name).value));
        changed(name);
      });
    }

    // ---- Computing: the plan at once, its intervals in short turns afterwards

    let turn = 0;
    let timer = 0;
    let answered = null;

    /** Answer what the controls hold; returns the `Mistake` that keeps it from that, or null. */
    function compute() {
      turn += 1;
      clearTimeout(timer);
      let wanted;
      let made;
      try {
        wanted = request(readControls());
        made = plan(wanted);
      } catch (error) {
        if (!(error instanceof Mistake)) throw error;
        complain(error);
        return error;
      }
      complain(null);
      const shown = { wanted, made, law, near: data.near, found: null };
      answered = shown;
      delete answer.dataset.complete;
      show(shown);
      inTurns(refinements(shown), turn);
      return null;
    }

    /** What takes longer: the plan's intervals, what other laws say, and the intervals along the curve. */
    function* refinements(shown) {
      const { wanted, made } = shown;
      const found = yield* intervals(wanted, made);
      const refined = found ? { ...shown, found } : shown;
      if (found) show(refined);
      answer.dataset.ready = "true";
      const budget = wanted.resource === "flops" ? wanted.budget : made.optimum.flops;
      const rows = [];
      for (const row of allLaws(laws.filter((one) => one.compared || one === law), law, budget)) {
        rows.push(row);
        yield;
      }
      const models = [];
      for (const row of modelsNear(data.industry, law, budget)) {
        models.push(row);
        yield;
      }
      showOthers(rows, models, { law, budget });
      yield;
      if (law.draws.length) showCurve(refined, yield* curveIntervals(refined, isoflopCurve(refined)));
      answer.dataset.complete = "true";
      document.dispatchEvent(new Event("explored"));
    }

    function inTurns(steps, of) {
      const until = performance.now() + 12;
      let step = { done: false };
      while (!step.done && performance.now() < until && of === turn) step = steps.next();
      if (!step.done && of === turn) timer = setTimeout(() => inTurns(steps, of), 0);
    }

    const IN_MORE = ["overtraining", "inference", "width", "depth"];

    function complain(mistake) {
      for (const name of ["budget", "law", "overtraining", "inference", "width", "depth"]) {
        const wrong = mistake?.field === name;
        const message = byId(`${name}-error`);
        if (message.textContent !== (wrong ? mistake.message : ""))
          message.textContent = wrong ? mistake.message : "";
        for (const input of name === "width" || name === "depth"
          ? [field(`${name}_min`), field(`${name}_max`)]
          : [field(name)]) {
          if (wrong) input.setAttribute("aria-invalid", "true");
          else input.removeAttribute("aria-invalid");
        }
      }
      if (mistake && IN_MORE.includes(mistake.field)) byId("more").open = true;
      answer.classList.toggle("dimmed", Boolean(mistake));
      byId("stale").hidden = !mistake || !answer.dataset.shown;
      byId("stale").textContent = mistake ? `No answer to this: ${mistake.message}. What is shown is the answer before it.` : "";
    }

    // ---- Controls

    for (const group of new Set(laws.map((one) => one.group))) {
      const options = Object.assign(document.createElement("optgroup"), { label: group });
      for (const one of laws.filter((other) => other.group === group)) {
        const words = `${one.label}${one.flags.length ? " †" : ""}`;
        options.append(Object.assign(document.createElement("option"), { value: one.id, textContent: words }));
      }
      field("law").append(options);
    }

    /** A budget that has been answered becomes what that answer spends in the other unit, where it is known. */
    function exchange(resource) {
      if (!answered || answer.classList.contains("dimmed") || answered.wanted.resource === resource) return;
      const { made } = answered;
      const spent =
        resource === "flops"
          ? made.flops + made.inferenceFlops
          : made.deviceHours && made.deviceHours + made.inferenceDeviceHours;
      if (spent) field("budget").value = budgetText(spent, resource);
    }

    for (const budget of data.presets) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: flopsText(budget) });
      button.addEventListener("click", () => {
        field("resource").value = "flops";
        field("budget").value = flopsText(budget);
        changed("preset");
        settled();
      });
      byId("presets").append(button);
    }

    function chooseLaw(id) {
      field("law").value = id;
      followLaw();
      changed("law");
      settled();
    }

    /** A gesture, of one control, makes one entry of the history, however many values it passes. */
    let gesture = "";
    let typing = 0;

    function changed(name) {
      byId("address-error").textContent = "";
      compute();
      const state = stateOf(readControls());
      address.write({ section: address.read().section, state }, { replace: gesture === name });
      gesture = name;
      clearTimeout(typing);
      typing = setTimeout(settled, 1500);
    }

    function settled() {
      gesture = "";
    }

    /** The law that is chosen in the controls; ranges that nobody set are those of the law. */
    function followLaw() {
      const before = defaults(law);
      law = lawOf(field("law").value);
      for (const name of NAMES) {
        if (/_m(in|ax)$/.test(name) && field(name).value.trim() === before[name])
          field(name).value = defaults(law)[name];
      }
    }

    form.addEventListener("input", (event) => {
      if (event.target.name === "law") followLaw();
      if (event.target.name === "resource") exchange(event.target.value);
      moveSliders();
      changed(event.target.name);
    });
    // The keys of a slider change it at every step: these are one gesture, until they rest.
    form.addEventListener("change", (event) => event.target.type !== "range" && settled());
    form.addEventListener("submit", (event) => event.preventDefault());

    byId("reset").addEventListener("click", () => {
      writeControls(new URLSearchParams());
      changed("reset");
      settled();
    });

    byId("copy").addEventListener("click", async () => {
      const button = byId("copy");
      address.write({ section: "explorer", state: stateOf(readControls()) }, { replace: true });
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Copy it from the address bar";
      }
      setTimeout(() => (button.textContent = "Copy link"), 2000);
    });

    const IN_ADDRESS = NAMES.filter((name) => !["budget", "resource", "law"].includes(name));
    const OF_FIELD = { width: ["width_min", "width_max"], depth: ["depth_min", "depth_max"] };

    /** The `Mistake` in what the controls say, or null. */
    function unreadable() {
      try {
        request(readControls());
        return null;
      } catch (error) {
        if (!(error instanceof Mistake)) throw error;
        return error;
      }
    }

    /** What the address holds; what of it cannot be read is left out and said, and the rest is kept. */
    function restore() {
      const { state } = address.read();
      const wrong = writeControls(state);
      for (let mistake = unreadable(); mistake; mistake = unreadable()) {
        const dropped = (OF_FIELD[mistake.field] ?? [mistake.field]).filter((name) => state.has(name));
        wrong.push(mistake.message);
        for (const name of dropped) state.delete(name);
        writeControls(state);
        if (!dropped.length) break;
      }
      byId("more").open = IN_ADDRESS.some((name) => state.has(name));
      if (compute() && !answered) {
        // What can be read but has no answer stands beside the usual one.
        writeControls(new URLSearchParams());
        compute();
        writeControls(state);
        compute();
      }
      const kept = NAMES.some((name) => state.has(name)) ? " The rest of it is kept." : "";
      byId("address-error").textContent = wrong.length ? `This page's address: ${wrong.join("; ")}.${kept}` : "";
    }

    addEventListener("popstate", restore);
    restore();
    globalThis.gemstones.laws = laws;
    globalThis.gemstones.stepTimes = stepTimes;
  }

  // ---- Laws as they are embedded

  function doubles(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Float64Array(bytes.buffer); // little-endian, as every machine with a browser is
  }

  /** Rows of `length` doubles. */
  function rowsOf(text, length) {
    const all = doubles(text);
    return Array.from({ length: all.length / length }, (_, r) => all.subarray(r * length, (r + 1) * length));
  }

  function unpackLaw(law) {
    if (law.kind === "frontier") return { ...law, theta: null, draws: [] };
    const theta = doubles(law.theta);
    return { ...law, theta, draws: rowsOf(law.draws, theta.length) };
  }

  function unpackStepTime(model) {
    return { ...model, draws: rowsOf(model.draws, model.features.length) };
  }
}
