// A run's folder: its samples over time, losses, noise under sliders, and what `minigan diagnose` says of it.

import { chart, element, legend } from "./draw.js";
import { paint, Sliders } from "./latents.js";

export class Run {
  constructor(ask) {
    this.ask = ask;
    this.title = element("h2", {});
    this.status = element("p", { class: "quiet" });
    this.picture = element("img", { id: "picture", class: "pixels", alt: "Samples of the run" });
    this.time = element("input", { id: "time", type: "range", min: 0, max: 0, value: 0, "aria-label": "Step of the samples", oninput: () => this.look() });
    this.timeText = element("span", { class: "quiet" });
    this.lossChart = element("canvas", { id: "run-losses", class: "losses", role: "img" });
    this.lossLegend = element("p", { class: "legend" });
    this.sliders = new Sliders(ask);
    this.words = element("pre", { id: "diagnosis", tabindex: 0, text: "Not asked yet." });
    this.root = element("div", { class: "viewer" }, this.title, this.status, element("section", { class: "run" }, element("div", { class: "body" },
      element("div", {}, element("h3", { text: "Samples over time" }), this.picture, element("label", { class: "time" }, this.time, this.timeText)),
      element("div", {}, element("h3", { text: "Losses" }), this.lossChart, this.lossLegend, this.sliders.root,
        element("button", { type: "button", id: "reload", text: "Take the newest checkpoint", onclick: () => ask({ do: "reload" }) })),
      element("div", { class: "wide" }, element("h3", { text: "What minigan diagnose says" }),
        element("button", { type: "button", id: "diagnose", text: "Ask", onclick: () => { this.words.textContent = "Looking ..."; ask({ do: "diagnose" }); } }), this.words))));
  }

  state(now) { this.now = now; this.title.textContent = now.path; this.sliders.state(now); }

  about(about) {
    const newest = !this.known || this.time.value === this.time.max;
    this.known = about;
    this.status.textContent = `${about.model} on ${about.config.data}, ${about.state}, step ${about.step} of ${about.of}. ${about.warnings.join(" ")}`;
    this.time.max = String(Math.max(0, about.pictures.length - 1));
    if (newest) this.time.value = this.time.max;
    this.look();
    this.redraw();
  }

  look() {
    const { pictures, steps } = this.known, at = Number(this.time.value);
    if (!pictures.length) { this.picture.hidden = true; this.timeText.textContent = "no samples yet"; return; }
    this.picture.hidden = false;
    const address = `run/${pictures[at]}`;
    if (this.picture.getAttribute("src") !== address) this.picture.src = address;
    this.timeText.textContent = steps.length ? `step ${steps[at]}` : "";
  }

  decoded(image) { paint(this.sliders.canvas, image); }
  diagnosis({ text }) { this.words.textContent = text; }

  redraw() {
    if (!this.known || !this.root.isConnected) return;
    const colours = ["d", "g"], series = this.known.names.map((name, k) => ({ name, colour: colours[k] || "own", points: this.known.rows.map((row) => [row[0], row[k + 1] ?? NaN]) }));
    chart(this.lossChart, series, { label: "Losses" });
    this.lossLegend.replaceChildren(...legend(...series.map((s) => [s.colour, s.name])).childNodes);
  }
}
