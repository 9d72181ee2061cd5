// The Dirac-GAN's phase plane: where theta (the generator) and psi (the discriminator's slope) go, and why.

import { begin, chart, colour, element, legend, number } from "./draw.js";

const TEXTS = { loss: "loss", regularizer: "regulariser", gamma: "its strength γ", sigma: "σ of instance noise", target: "target of the penalty", clip: "clip |ψ| at (0: no)", rule: "rule", step: "step size h" };
const complex = ([a, b]) => `${number(a)}${b ? ` ${b < 0 ? "−" : "+"} ${number(Math.abs(b))} i` : ""}`;

export class Dirac {
  constructor(ask) {
    this.ask = ask;
    const button = (id, text, command) => element("button", { type: "button", id, text, onclick: () => ask(command()) });
    this.playButton = button("play", "▶ Play", () => ({ do: this.now?.playing ? "pause" : "play" }));
    this.canvas = element("canvas", { id: "phase", class: "plane", role: "img", tabindex: 0, "aria-label": "Phase plane: click where to begin", onclick: (event) => this.begin(event) });
    this.distance = element("canvas", { id: "distance", class: "losses", role: "img" });
    this.form = element("form", { class: "settings", onsubmit: (event) => event.preventDefault() });
    this.facts = element("dl", { class: "facts" });
    this.verdict = element("p", {});
    this.root = element("div", { class: "dirac" },
      element("div", { class: "transport", role: "toolbar", "aria-label": "Dirac-GAN" }, this.playButton, button("step-both", "Step", () => ({ do: "step" })), button("restart", "↺ Restart", () => ({ do: "restart" }))),
      element("p", { class: "quiet", text: "All data at 0, all fakes at θ, D(x) = ψx: the smallest GAN. Click the plane to begin there. Lesson 12 derives what happens." }),
      element("div", { class: "columns" }, element("aside", { class: "side" }, this.form),
        element("section", { class: "run" }, element("div", { class: "body" },
          element("div", {}, this.canvas, legend(["arrow", "where gradients lead"], ["d", "the path"])),
          element("div", { class: "charts" }, element("h3", { text: "Distance from the rest point" }), this.distance, element("h3", { text: "Eigenvalues" }), this.verdict, this.facts)))));
  }

  state(now) {
    this.now = now;
    this.playButton.textContent = now.playing ? "❚❚ Pause" : "▶ Play";
    if (!this.fields) {
      this.fields = {};
      for (const [name, value] of Object.entries(now.settings)) {
        const id = `dirac-${name}`, choices = now.choices[name];
        const field = choices ? element("select", { id }, ...Object.entries(choices).map(([v, title]) => element("option", { value: v, text: v.replaceAll("_", " "), title })))
          : element("input", { id, type: "number", min: 0, max: 100, step: "any" });
        field.addEventListener("change", () => this.ask({ do: "set", settings: { [name]: choices ? field.value : Number(field.value) } }));
        field.value = value;
        this.fields[name] = field;
        this.form.append(element("label", { for: id }, element("span", { text: TEXTS[name] }), field));
      }
    }
    for (const [name, value] of Object.entries(now.settings)) if (this.fields[name] !== document.activeElement) this.fields[name].value = value;
  }

  plane(plane) { this.field = plane; this.redraw(); }
  path(path) { this.way = path; this.plan(); }
  plan() { this.waiting ??= requestAnimationFrame(() => { this.waiting = undefined; this.redraw(); }); }

  begin(event) {
    const box = this.canvas.getBoundingClientRect(), r = this.now.reach;
    const at = (share) => Math.max(-r, Math.min(r, +((2 * share - 1) * r).toFixed(3)));
    this.ask({ do: "start", theta: at((event.clientX - box.left) / box.width), psi: -at((event.clientY - box.top) / box.height) });
  }

  redraw() {
    if (!this.field || !this.way || !this.root.isConnected) return;
    const [context, [w, h]] = begin(this.canvas), r = this.now.reach;
    const px = (x) => ((x + r) / (2 * r)) * w, py = (y) => (1 - (y + r) / (2 * r)) * h;
    context.fillStyle = colour("plane"); context.fillRect(0, 0, w, h);
    context.strokeStyle = colour("line"); context.beginPath(); context.moveTo(px(0), 0); context.lineTo(px(0), h); context.moveTo(0, py(0)); context.lineTo(w, py(0)); context.stroke();
    context.fillStyle = colour("quiet"); context.font = "12px system-ui, sans-serif"; context.fillText("θ →", w - 28, py(0) - 6); context.fillText("ψ ↑", px(0) + 6, 16);
    const longest = Math.max(...this.field.field.map(([a, b]) => Math.hypot(a, b))) || 1, scale = (0.09 * w) / longest;
    context.strokeStyle = colour("grid");
    this.field.points.forEach(([x, y], i) => {
      const [a, b] = this.field.field[i], ex = px(x) + a * scale, ey = py(y) - b * scale, angle = Math.atan2(-b, a);
      if (Math.hypot(a, b) * scale < 1) return;
      context.beginPath(); context.moveTo(px(x), py(y)); context.lineTo(ex, ey);
      for (const turn of [2.6, -2.6]) { context.moveTo(ex, ey); context.lineTo(ex + 4 * Math.cos(angle + turn), ey + 4 * Math.sin(angle + turn)); }
      context.stroke();
    });
    context.strokeStyle = context.fillStyle = colour("d"); context.lineWidth = 1.6; context.beginPath();
    this.way.path.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](px(x), py(y))); context.stroke(); context.lineWidth = 1;
    context.beginPath(); context.arc(px(this.way.theta), py(this.way.psi), 5, 0, 7); context.fill();
    this.tell();
  }

  tell() {
    const { way, field } = this, fact = (name, value) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }));
    const first = way.steps - way.path.length + 1;
    chart(this.distance, [{ name: "distance", colour: "d", points: way.path.map(([a, b], i) => [first + i, Math.hypot(a, b)]) }], { label: "Distance from the rest point" });
    const pair = (values) => (values ? values.map(complex).join(", ") : "none: the field has a kink");
    this.facts.replaceChildren(fact("step", String(way.steps)), fact("θ", number(way.theta)), fact("ψ", number(way.psi)), fact("L_G", number(way.losses[0])), fact("L_D", number(way.losses[1])),
      fact("at the rest point", pair(field.rest)), fact("here", pair(way.eigenvalues)), fact("|λ| of a step, at most", number(field.radius)));
    const real = field.rest ? Math.max(...field.rest.map(([a]) => a)) : null;
    this.verdict.textContent = real === null ? "" : (real < -1e-9 ? "Real parts below 0: the flow comes in." : real > 1e-9 ? "A real part above 0: the flow goes away." : "Real parts 0: the flow circles.")
      + (field.radius === null ? "" : field.radius < 1 - 1e-9 ? " Steps of this size come in, too." : field.radius > 1 + 1e-9 ? " Steps of this size go outwards." : " Steps of this size neither come in nor leave, to first order.");
  }
}
