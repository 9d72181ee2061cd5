// Images on canvases, and sliders for the noise that they are made of.

import { element } from "./draw.js";
import { bytes } from "./protocol.js";

// Images in rows on a canvas, each pixel of them one of the canvas; the style makes it large.
export function paint(canvas, { count, height, width, channels, data, columns = count }) {
  const rows = Math.ceil(count / columns), pixels = bytes(data), gap = count > 1 ? 1 : 0;
  Object.assign(canvas, { width: columns * (width + gap), height: rows * (height + gap) });
  const context = canvas.getContext("2d");
  for (let n = 0; n < count; n++) {
    const image = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let k = 0; k < 3; k++) image.data[4 * i + k] = pixels[(n * width * height + i) * channels + (channels === 3 ? k : 0)];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, (n % columns) * (width + gap), Math.floor(n / columns) * (height + gap));
  }
}

export class Sliders {
  constructor(ask) {
    this.ask = ask;
    this.canvas = element("canvas", { id: "decoded", class: "pixels", role: "img", "aria-label": "The image of this noise" });
    this.fields = element("div", { class: "sliders" });
    this.why = element("p", { class: "quiet" });
    this.root = element("div", { class: "latents" }, element("h3", { text: "Noise under your hands" }), this.why, this.canvas, this.fields);
  }

  state({ sliders, reach, classes, no_sliders: why }) {
    this.why.textContent = why ? `No sliders: ${why}.` : "The first coordinates of z; the others stay.";
    this.canvas.hidden = Boolean(why);
    const key = `${sliders} ${classes}`;
    if (key === this.key) return;
    this.key = key;
    this.z = [...Array(sliders).keys()].map((i) => element("input", { type: "range", id: `z-${i}`, min: -reach, max: reach, step: 0.05, value: 0, oninput: () => this.send() }));
    this.label = classes ? element("select", { id: "z-label", onchange: () => this.send() }, ...[...Array(classes).keys()].map((i) => element("option", { value: i, text: i }))) : null;
    this.fields.replaceChildren(...(this.label ? [element("label", { for: "z-label" }, "class ", this.label)] : []),
      ...this.z.map((field, i) => element("label", { for: `z-${i}` }, `z${i + 1} `, field)));
  }

  send() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.ask({ do: "decode", z: this.z.map((f) => Number(f.value)), label: this.label ? Number(this.label.value) : 0 }), 30);
  }
}
