// Digits forming, while a GAN of images trains.

import { chart, element, keyLosses, marked } from "./draw.js";
import { paint, Sliders } from "./latents.js";

export class Images {
  constructor(ask) {
    this.ask = ask;
    this.rowsOf = [];
    const button = (id, text, command) => element("button", { type: "button", id, text, onclick: () => ask(command()) });
    this.playButton = button("play", "▶ Play", () => ({ do: this.now?.playing ? "pause" : "play" }));
    this.sheet = element("canvas", { id: "sheet", class: "pixels", role: "img", "aria-label": "Samples" });
    this.title = element("h2", { text: "Samples" });
    this.lossChart = element("canvas", { id: "image-losses", class: "losses", role: "img" });
    this.lossLegend = element("p", { class: "legend" });
    this.sliders = new Sliders(ask);
    this.chosen = element("span", { class: "transport" });
    this.root = element("div", { class: "images" },
      element("div", { class: "transport", role: "toolbar", "aria-label": "Training" }, this.playButton, button("step-both", "Step", () => ({ do: "step" })), button("restart", "↺ Restart", () => ({ do: "restart" })), this.chosen),
      element("section", { class: "run" }, element("div", { class: "body" },
        element("div", {}, this.title, this.sheet, element("p", { class: "quiet", text: "Always from the same noise: nothing changes but G." })),
        element("div", {}, this.sliders.root, element("h3", { text: "Losses" }), this.lossChart, this.lossLegend))));
  }

  state(now) {
    this.now = now;
    this.playButton.textContent = now.playing ? "❚❚ Pause" : "▶ Play";
    if (!this.fields) {
      this.fields = Object.fromEntries(Object.entries(now.choices).map(([name, choices]) => [name, element("select", { id: `image-${name}`, "aria-label": name, onchange: (event) => this.ask({ do: "set", settings: { [name]: event.target.value } }) },
        ...Object.entries(choices).map(([value, text]) => element("option", { value, text: `${value}: ${text}` })))]));
      this.chosen.append(...Object.values(this.fields));
    }
    for (const [name, field] of Object.entries(this.fields)) field.value = now.settings[name];
    this.sliders.state(now);
  }

  history({ rows }) { this.rowsOf = rows; this.redraw(); }
  rows({ rows }) { const last = this.rowsOf.at(-1)?.[0] ?? -1; this.rowsOf.push(...rows.filter(([step]) => step > last)); this.redraw(); }
  images(sheet) { this.title.textContent = `Samples at step ${sheet.step}`; this.sheet.dataset.step = String(sheet.step); paint(this.sheet, sheet); }
  decoded(image) { paint(this.sliders.canvas, image); }

  redraw() {
    if (!this.root.isConnected || !this.now) return;
    const marks = marked(this.now.equilibrium);
    keyLosses(this.lossLegend, marks);
    chart(this.lossChart, [1, 2].map((k) => ({ name: k === 1 ? "L_D" : "L_G", colour: k === 1 ? "d" : "g", points: this.rowsOf.map((row) => [row[0], row[k]]) })), { marks, label: "Losses" });
  }
}
