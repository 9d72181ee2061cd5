// The first scene: one or two GANs of points in the plane, with everything that is known of them.

import { PLAYER, begin, chart, colour, element, keyLosses, legend, levels, marked, number } from "./draw.js";
import { bytes } from "./protocol.js";
import { Settings } from "./settings.js";

const SPEEDS = [[1, "1 step/s"], [3, "3 steps/s"], [10, "10 steps/s"], [30, "30 steps/s"], [0, "full speed"]];
const LAYERS = { map: "D", best: "D*", slopes: "|∇D|", none: "nothing" }; // what colours the plane: one of them
const TOGGLES = { reals: "reals", fakes: "fakes", grid: "warped grid", arrows: "−∇L_G" };

export class Points {
  constructor(ask) {
    this.ask = ask;
    this.panels = {};
    this.editing = "A";
    this.layer = "map";
    this.on = { reals: true, fakes: true, grid: false, arrows: true };
    this.stroke = null;
    const button = (id, text, command, title) => element("button", { type: "button", id, text, title, onclick: () => ask(command()) });
    this.playButton = button("play", "▶ Play", () => ({ do: this.now?.playing ? "pause" : "play" }), "Space");
    this.speed = element("select", { id: "speed", "aria-label": "Speed", onchange: () => ask({ do: "rate", steps: Number(this.speed.value) }) },
      ...SPEEDS.map(([value, text]) => element("option", { value, text })));
    this.speed.value = "0";
    this.back = element("input", { id: "rewind", type: "range", min: 0, max: 0, value: 0, step: 1, "aria-label": "Rewind to a snapshot",
      onchange: () => ask({ do: "rewind", step: this.snapshots[Number(this.back.value)] }),
      oninput: () => { this.backText.textContent = `rewind to ${this.snapshots[Number(this.back.value)]}`; } });
    this.backText = element("span", { class: "quiet", text: "rewind" });
    this.splitButton = button("split", "Two side by side", () => ({ do: this.now?.runs.B ? "join" : "split" }), "A second run, with settings of its own");
    this.transport = element("div", { class: "transport", role: "toolbar", "aria-label": "Training" },
      this.playButton, button("step-both", "Step", () => ({ do: "step" }), "Both players, once (S)"),
      button("step-d", "Step D", () => ({ do: "step", player: "discriminator" }), "D alone (D)"),
      button("step-g", "Step G", () => ({ do: "step", player: "generator" }), "G alone (G)"), this.speed,
      button("restart", "↺ Restart", () => ({ do: "restart" }), "From the initial weights (R)"), element("label", { class: "back" }, this.back, this.backText), this.splitButton,
      element("button", { type: "button", id: "permalink", text: "Copy link", title: "An address that brings these settings back, in this lab", onclick: () => this.copy() }));
    this.side = element("aside", { class: "side" });
    this.runs = element("div", { class: "runs" });
    this.root = element("div", { class: "points" }, this.transport, this.view(), element("div", { class: "columns" }, this.side, this.runs));
    addEventListener("keydown", (event) => this.key(event));
  }

  view() {
    const layer = (name, text) => element("label", {}, element("input", { type: "radio", name: "layer", value: name, checked: name === this.layer,
      onchange: () => { this.layer = name; this.redraw(); } }), text);
    const toggle = (name, text) => element("label", {}, element("input", { type: "checkbox", name, checked: this.on[name],
      onchange: (event) => { this.on[name] = event.target.checked; this.redraw(); } }), text);
    return element("div", { class: "view" },
      element("fieldset", {}, element("legend", { text: "Colour" }), ...Object.entries(LAYERS).map(([n, t]) => layer(n, t))),
      element("fieldset", {}, element("legend", { text: "Show" }), ...Object.entries(TOGGLES).map(([n, t]) => toggle(n, t))));
  }

  key(event) {
    if (!this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, [type=number]")) return;
    if (event.key === " " && event.target.matches("button, input, summary")) return; // which it presses
    const ids = { " ": "play", s: "step-both", d: "step-d", g: "step-g", r: "restart" };
    const id = ids[event.key];
    if (id) { event.preventDefault(); document.getElementById(id).click(); }
  }

  // -- what comes ---------------------------------------------------------------------------------------------------
  schema(schema) {
    this.settings = new Settings(schema, (changed) => this.ask({ do: "set", run: this.editing, settings: changed }));
    this.which = element("select", { id: "editing", "aria-label": "Whose settings", onchange: () => { this.editing = this.which.value; this.state(this.now); } },
      element("option", { value: "A", text: "settings of A" }), element("option", { value: "B", text: "settings of B" }));
    this.drawing = this.canvasToDraw();
    this.side.replaceChildren(this.which, element("p", { class: "quiet", text: "Changes count from the next step; ↺ begins anew." }), this.drawing, this.settings.root);
    if (this.now) this.state(this.now);
    this.follow();
  }

  state(now) {
    this.now = now;
    this.playButton.textContent = now.playing ? "❚❚ Pause" : "▶ Play";
    this.speed.value = String(now.rate);
    this.splitButton.textContent = now.runs.B ? "A alone" : "Two side by side";
    if (!now.runs[this.editing]) this.editing = "A";
    for (const name of ["A", "B"]) {
      if (now.runs[name]) this.panel(name).note(now.runs[name].note);
      else if (this.panels[name]) { this.panels[name].root.remove(); delete this.panels[name]; }
    }
    this.runs.classList.toggle("two", Boolean(now.runs.B));
    this.seen(now.runs.A.snapshots);
    if (!this.settings) return;
    this.which.hidden = !now.runs.B;
    this.which.value = this.editing;
    this.settings.show(now.runs[this.editing].settings);
    const hash = this.link();
    if (this.followed && location.hash !== hash) history.replaceState(null, "", hash || location.pathname);
  }

  seen(snapshots) {
    this.snapshots = snapshots;
    this.back.max = String(Math.max(0, snapshots.length - 1));
    if (document.activeElement !== this.back) { this.back.value = this.back.max; this.backText.textContent = `rewind (${snapshots.length})`; }
  }

  panel(name) {
    if (!this.panels[name]) {
      this.panels[name] = new Panel(name, this);
      this.runs.append(this.panels[name].root);
    }
    return this.panels[name];
  }

  run(about) { this.panel(about.run).about = about; }
  history({ run, rows, truths }) { const panel = this.panel(run); panel.rows = rows; panel.truths = truths; panel.charts(); }
  rows({ run, rows, truths }) { this.panels[run]?.add(rows, truths); }
  frame(frame) { for (const panel of [this.panels[frame.run]]) panel?.take(frame); }
  truth(truth) { if (truth.run === "A") this.seen(truth.snapshots); this.panels[truth.run]?.know(truth); }
  redraw() { for (const panel of Object.values(this.panels)) panel.redraw(); }
  resume() { this.redraw(); }

  // -- permalink ------------------------------------------------------------------------------------------------------
  link() {
    const runs = Object.fromEntries(Object.entries(this.now.runs).map(([name, { settings, drawn }]) => [name, drawn.length ? { settings, drawn } : { settings }]));
    const plain = !this.now.rate && !runs.B && !Object.keys(runs.A.settings).length;
    return plain ? "" : `#${encodeURIComponent(JSON.stringify({ runs, rate: this.now.rate }))}`;
  }

  follow() {
    this.followed = true;
    if (location.hash.length < 2 || location.hash === this.link()) return;
    try {
      this.ask({ do: "load", ...JSON.parse(decodeURIComponent(location.hash.slice(1))) });
    } catch {
      document.getElementById("problem").textContent = "The link's settings cannot be read.";
      document.getElementById("problem").hidden = false;
    }
  }

  async copy() {
    const button = document.getElementById("permalink");
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "It is in the address bar";
    }
    setTimeout(() => { button.textContent = "Copy link"; }, 2000);
  }

  // -- draw your own --------------------------------------------------------------------------------------------------
  canvasToDraw() {
    this.stroke = [];
    const canvas = element("canvas", { id: "drawing", tabindex: 0, "aria-label": "Draw points here with the mouse or a finger; Enter adds one at random" });
    const paint = () => {
      const [context, [w, h]] = begin(canvas);
      context.fillStyle = colour("real");
      for (const [x, y] of this.stroke) { context.beginPath(); context.arc((x + 1) / 2 * w, (1 - y) / 2 * h, 2.5, 0, 7); context.fill(); }
    };
    const add = (x, y) => {
      const last = this.stroke.at(-1), inside = Math.abs(x) <= 1 && Math.abs(y) <= 1;
      if (!inside || this.stroke.length >= 2000 || (last && Math.hypot(x - last[0], y - last[1]) < 0.03)) return;
      this.stroke.push([+x.toFixed(3), +y.toFixed(3)]);
      paint();
    };
    const at = (event) => { const box = canvas.getBoundingClientRect(); return [2 * (event.clientX - box.left) / box.width - 1, 1 - 2 * (event.clientY - box.top) / box.height]; };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); add(...at(event)); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) add(...at(event)); });
    canvas.addEventListener("keydown", (event) => { if (event.key === "Enter") add(1.8 * Math.random() - 0.9, 1.8 * Math.random() - 0.9); });
    const use = () => this.ask({ do: "set", run: this.editing, settings: { data: "drawn" }, drawn: this.stroke });
    return element("details", { class: "drawing", ontoggle: () => paint() }, element("summary", { text: "draw your own data" }), canvas,
      element("p", { class: "buttons" }, element("button", { type: "button", id: "use-drawing", text: "Use these points", onclick: use }),
        element("button", { type: "button", text: "Clear", onclick: () => { this.stroke = []; paint(); } })));
  }
}

// One run: the plane, its numbers, its charts, its formulas.
class Panel {
  constructor(name, scene) {
    this.name = name;
    this.scene = scene;
    this.rowsOf = [];
    this.rows = [];
    this.truths = [];
    const canvas = (id, label) => element("canvas", { id: `${id}-${name}`, class: id, role: "img", "aria-label": label });
    this.plane = canvas("plane", "The plane");
    this.lossChart = canvas("losses", "Losses");
    this.distanceChart = canvas("distances", "Divergences");
    this.feasibleChart = canvas("feasible", "Feasible region");
    this.thumbs = Object.fromEntries(["z", "G", "x", "D"].map((key) => [key, canvas(`thumb-${key}`, "")]));
    this.facts = element("dl", { class: "facts" });
    this.formula = element("div", { class: "formula" });
    this.noted = element("p", { class: "quiet note" });
    this.legend = element("p", { class: "legend" });
    const box = (key, text) => element("figure", {}, this.thumbs[key], element("figcaption", { text }));
    this.flow = element("div", { class: "flow", role: "img", "aria-label": "Noise goes through G to fakes; D judges reals and fakes" },
      box("z", "noise z"), element("span", { text: "→ G →" }), box("G", "fakes G(z)"), element("span", { text: "→ D ←" }), box("x", "reals x"), element("span", { text: "=" }), box("D", "D: real?"));
    this.root = element("section", { class: "run", "aria-label": `Run ${name}` }, element("h2", {}, `Run ${name}`, element("span", { class: "step" })), this.noted, this.flow,
      element("div", { class: "body" },
        element("div", {}, this.plane, this.legend),
        element("div", { class: "charts" },
          element("h3", { text: "Losses" }), this.lossChart, this.lossLegend = element("p", { class: "legend" }),
          element("h3", { text: "How far apart: true, and as D says" }), this.distanceChart, this.distanceLegend = element("p", { class: "legend" }),
          this.feasibleTitle = element("h3", { text: "What losses are possible" }), this.feasibleChart, this.feasibleText = element("p", { class: "quiet" })),
        element("div", {}, element("h3", { text: "True numbers" }), this.facts), element("div", {}, element("h3", { text: "What is minimised" }), this.formula)));
    this.trail = [];
  }

  note(text) { this.noted.textContent = text; this.noted.hidden = !text; }

  add(rows, truths) {
    const later = (list, more) => { const last = list.at(-1)?.[0] ?? -1; list.push(...more.filter(([step]) => step > last)); if (list.length > 2400) list.splice(0, 600); };
    later(this.rows, rows);
    later(this.truths, truths);
    this.changed = true;
  }

  take(frame) {
    if (frame.step < (this.frame?.step ?? 0)) this.trail = [];
    this.frame = frame;
    if (frame.feasible) this.trail = [...this.trail.slice(-300), frame.feasible];
    this.shown = (this.shown || 0) + 1;
    this.plan();
  }

  know(truth) {
    this.truth = truth;
    this.tell();
    this.changed = true;
    this.plan();
  }

  // Not more often than the screen can show it, and not at all while nobody looks.
  plan() { this.waiting ??= requestAnimationFrame(() => { this.waiting = undefined; this.redraw(); }); }

  redraw() {
    if (!this.root.isConnected || !this.frame || !this.about) return;
    this.root.querySelector(".step").textContent = `step ${this.frame.step}`;
    this.root.dataset.frames = String(this.shown);
    this.root.dataset.step = String(this.frame.step);
    this.drawPlane(this.plane, this.scene.layer, this.scene.on);
    const now = performance.now();
    if (this.changed && now - (this.drawn || 0) < 100) { setTimeout(() => this.plan(), 110); return; }
    this.drawn = now; // charts and thumbnails ten times a second
    this.charts();
    this.drawPlane(this.thumbs.G, "none", { fakes: true });
    this.drawPlane(this.thumbs.x, "none", { reals: true });
    this.drawPlane(this.thumbs.D, "map", {});
    this.drawNoise(this.thumbs.z);
    this.changed = false;
  }

  drawNoise(canvas) {
    const [context, [w, h]] = begin(canvas);
    context.strokeStyle = colour("grid");
    if (this.about.latent > 2) { context.fillStyle = colour("quiet"); context.font = "10px system-ui"; context.fillText(`${this.about.latent} numbers`, 4, h / 2); return; }
    for (let i = 0; i < 9; i++) {
      const at = 4 + (i / 8) * (w - 8);
      context.beginPath(); context.moveTo(at, 4); context.lineTo(at, h - 4);
      if (this.about.latent === 2) { context.moveTo(4, at); context.lineTo(w - 4, at); }
      context.stroke();
    }
  }

  drawPlane(canvas, layer, on) {
    const { low, size, reals, modes, sigma } = this.about, { fakes, arrows, grid } = this.frame;
    const [context, [w, h]] = begin(canvas), small = w < 120;
    const px = (x) => ((x - low[0]) / size) * w, py = (y) => (1 - (y - low[1]) / size) * h;
    context.fillStyle = colour("plane"); context.fillRect(0, 0, w, h);
    const found = layer === "map" ? this.frame.map : layer === "none" ? null : this.truth?.[layer];
    if (found) {
      context.imageSmoothingEnabled = layer !== "best";
      context.drawImage(levels(bytes(found.levels), found.cells), 0, 0, w, h);
    } else if (layer !== "none" && !small) {
      context.fillStyle = colour("quiet"); context.font = "13px system-ui, sans-serif";
      context.fillText(layer === "best" ? (this.truth?.no_best ? "D* is not shown: the reason is below" : "not known yet") : this.frame.no_map || "", 10, 20);
    }
    const dot = (points, name, r) => {
      context.fillStyle = colour(name);
      context.globalAlpha = small ? 0.5 : 0.75;
      for (let i = 0; i < points.length; i += 2) { if (points[i] === null) continue; context.beginPath(); context.arc(px(points[i]), py(points[i + 1]), r, 0, 7); context.fill(); }
      context.globalAlpha = 1;
    };
    if (on.grid && grid.length) this.drawGrid(context, grid, px, py);
    if (on.reals) {
      dot(reals, "real", small ? 0.8 : 1.8);
      if (!small) for (let i = 0; i < modes.length; i += 2) { context.strokeStyle = colour("real"); context.beginPath(); context.arc(px(modes[i]), py(modes[i + 1]), Math.max(6, (3 * sigma / size) * w), 0, 7); context.stroke(); }
    }
    if (on.fakes) dot(fakes, "fake", small ? 0.8 : 2);
    if (on.arrows && arrows.length) this.drawArrows(context, fakes, arrows, px, py, w);
    if (!small) this.tellColours(found, layer);
  }

  drawGrid(context, grid, px, py) {
    const n = this.about.lines, two = this.about.latent === 2;
    context.strokeStyle = colour("grid");
    const line = (indices) => {
      context.beginPath();
      indices.forEach((i, k) => context[k ? "lineTo" : "moveTo"](px(grid[2 * i]), py(grid[2 * i + 1])));
      context.stroke();
    };
    const all = [...Array(n).keys()];
    if (!two) { line(all); return; }
    for (const i of all) { line(all.map((k) => i * n + k)); line(all.map((k) => k * n + i)); }
  }

  drawArrows(context, fakes, arrows, px, py, w) {
    const lengths = [];
    for (let i = 0; i < arrows.length; i += 2) lengths.push(Math.hypot(arrows[i], arrows[i + 1]));
    const longest = [...lengths].sort((a, b) => a - b)[Math.floor(0.9 * lengths.length)] || 1;
    context.strokeStyle = colour("arrow"); context.fillStyle = colour("arrow"); context.lineWidth = 1.2;
    for (let i = 0; i < lengths.length; i++) {
      const share = Math.min(1.5, lengths[i] / longest) * 0.055 * w, angle = Math.atan2(-arrows[2 * i + 1], arrows[2 * i]);
      if (share < 1) continue;
      const x = px(fakes[2 * i]), y = py(fakes[2 * i + 1]), ex = x + share * Math.cos(angle), ey = y + share * Math.sin(angle);
      context.beginPath(); context.moveTo(x, y); context.lineTo(ex, ey);
      for (const turn of [2.6, -2.6]) { context.moveTo(ex, ey); context.lineTo(ex + 4 * Math.cos(angle + turn), ey + 4 * Math.sin(angle + turn)); }
      context.stroke();
    }
    context.lineWidth = 1;
  }

  tellColours(found, layer) {
    const entries = [["real", "reals"], ["fake", "fakes"]];
    if (layer === "slopes" && found) entries.push(["real-area", `|∇D| up to ${number(found.most, 2)}`]);
    else if (found) entries.push(["real-area", `${layer === "best" ? "D*" : "D"} ≥ ${number(found.centre + found.limit, 2)}`], ["fake-area", `≤ ${number(found.centre - found.limit, 2)}`]);
    else if (layer === "best" && this.truth?.no_best) entries.push(["said", this.truth.no_best]);
    if (this.scene.on.arrows) entries.push(["arrow", "−∇L_G, where G pushes a fake"]);
    const text = JSON.stringify(entries);
    if (text === this.coloured) return;
    this.coloured = text;
    this.legend.replaceChildren(...legend(...entries).childNodes);
  }

  charts() {
    if (!this.about || !this.root.isConnected) return;
    const at = (rows, k) => rows.map((row) => [row[0], row[k] ?? NaN]);
    const marks = marked(this.about.equilibrium);
    keyLosses(this.lossLegend, marks);
    chart(this.lossChart, [{ name: "L_D", colour: "d", points: at(this.rows, 1) }, { name: "L_G", colour: "g", points: at(this.rows, 2) }], { marks, label: "Losses" });
    const name = this.truth?.divergence?.name, own = name && name !== "JSD" && name !== "W1";
    const series = [{ name: "JSD", colour: "jsd", points: at(this.truths, 1) }, { name: "W1", colour: "w1", points: at(this.truths, 2) }];
    if (own) series.push({ name, colour: "own", points: at(this.truths, 3) });
    if (name) series.push({ name: `${name} as D says`, colour: name === "W1" ? "w1" : own ? "own" : "jsd", dash: [3, 3], points: at(this.truths, 4) });
    chart(this.distanceChart, series, { label: "Distances" });
    const key = series.map((s) => [s.dash ? `${s.colour} dotted` : s.colour, s.name]);
    if (JSON.stringify(key) !== this.keyed) { this.keyed = JSON.stringify(key); this.distanceLegend.replaceChildren(...legend(...key).childNodes); }
    this.drawFeasible();
  }

  drawFeasible() {
    const now = this.frame?.feasible;
    this.feasibleChart.hidden = this.feasibleTitle.hidden = this.feasibleText.hidden = !now;
    if (!now) return;
    const [context, [w, h]] = begin(this.feasibleChart), most = Math.max(3, 1.1 * now.g, 1.1 * now.d), left = 40, bottom = 18;
    const px = (x) => left + (x / most) * (w - left - 6), py = (y) => h - bottom - (y / most) * (h - bottom - 6);
    context.fillStyle = colour("shut"); context.beginPath(); context.moveTo(px(0), py(0)); context.lineTo(px(0), py(most));
    for (let i = 1; i <= 100; i++) { const x = 1e-4 + (i / 100) * most, y = Math.min(most, -Math.log(1 - Math.exp(-x))); context.lineTo(px(x), py(y)); }
    context.lineTo(px(most), py(0)); context.fill();
    context.strokeStyle = colour("quiet"); context.strokeRect(left, 6, w - left - 6, h - bottom - 6);
    context.fillStyle = colour("quiet"); context.font = "11px system-ui, sans-serif"; context.textAlign = "right";
    context.fillText("L_G = −E log D(G(z))", w - 8, h - 4); context.textAlign = "left"; context.fillText("L_D,fake = −E log(1 − D(G(z)))", left + 44, 19);
    context.fillText("impossible", px(0.05 * most), py(0.04 * most));
    context.strokeStyle = colour("g"); context.globalAlpha = 0.5; context.beginPath();
    this.trail.forEach((p, k) => context[k ? "lineTo" : "moveTo"](px(p.g), py(p.d))); context.stroke(); context.globalAlpha = 1;
    context.fillStyle = colour("g"); context.beginPath(); context.arc(px(now.g), py(now.d), 4, 0, 7); context.fill();
    this.feasibleText.textContent = `e^−L_G + e^−L_D,fake = ${number(now.sum)} ≤ 1`;
    this.feasibleText.dataset.value = String(now.sum);
  }

  tell() {
    const t = this.truth, facts = [];
    const fact = (name, value, title = "", raw = value) => facts.push(element("div", { title }, element("dt", { text: name }), element("dd", { text: value, "data-value": raw })));
    if (t.modes) fact("modes", `${t.modes.modes} of ${t.modes.of}`, `${number(100 * t.modes.good, 1)} % of the samples within 3σ`, t.modes.modes);
    if (t.modes) fact("good samples", `${number(100 * t.modes.good, 1)} %`, "within three standard deviations of a mode", t.modes.good);
    fact("JSD(p, q)", t.jsd === undefined ? "–" : `${number(t.jsd)} ± ${number(t.jsd_error)}`, `of the laws as shares of ${t.cells} × ${t.cells} cells; at most log 2 = .693`, t.jsd);
    fact("W1(p, q)", number(t.w1), "of 192 points each, exact; two sets of reals have the number behind it", t.w1);
    fact("W1 of reals", number(t.w1_floor), "between two sets of reals: no generator gets below", t.w1_floor);
    if (t.divergence && !["JSD", "W1"].includes(t.divergence.name)) {
      fact(`${t.divergence.name}, true`, t.divergence.truth === null ? "∞" : number(t.divergence.truth), "what the best D would say", t.divergence.truth);
    }
    if (t.divergence) {
      fact(`${t.divergence.name}, as D says`, number(t.divergence.by_d), "from D's own loss: too little, by as much as D is not the best", t.divergence.by_d);
    }
    fact("regret of D", t.regret === null && "least" in t ? "∞" : number(t.regret), "D's loss minus the least there is, for these p and q", t.regret);
    if (t.slopes) { fact("|∇D| at reals", number(t.slopes.real)); fact("|∇D| at fakes", number(t.slopes.fake)); fact("|∇D| at most", number(t.slopes.most)); }
    this.facts.replaceChildren(...facts);
    const of = (player) => {
      const terms = t.terms.filter((each) => each.player === player), sum = terms.reduce((a, each) => a + each.value, 0);
      return element("table", {}, element("caption", { text: `L_${PLAYER[player]}` }), element("tbody", {}, ...terms.map((each) =>
        element("tr", {}, element("td", { text: each.text }), element("td", { text: number(each.value), "data-value": each.value }))),
      element("tr", { class: "sum" }, element("td", { text: "sum" }), element("td", { text: number(sum), "data-value": sum }))));
    };
    this.formula.replaceChildren(of("discriminator"), of("generator"));
  }
}
