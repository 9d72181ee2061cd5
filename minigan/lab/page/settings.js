// The form of settings, made from what the engine says that there is: a new option of a model is here by itself.

import { element } from "./draw.js";

const LABELS = {
  data: "data", batch_size: "batch", latent: "noise z: length", law: "noise z: law", layers: "G: hidden layers", width: "G: units",
  d_layers: "D: hidden layers", d_width: "D: units", lr: "learning rate", d_lr: "D's own rate", d_steps: "k: D's updates a step",
  noise: "noise on what D sees", loss: "loss", feature_matching: "feature matching", ema: "average of G",
};
const OPEN = ["data and noise", "networks", "loss", "optimizer"];

export class Settings {
  // change: called with {name: value} when the user has changed something.
  constructor(schema, change) {
    this.schema = schema;
    this.fields = {};
    this.root = element("form", { class: "settings", "aria-label": "Settings", onsubmit: (event) => event.preventDefault() });
    for (const group of [...new Set(schema.map((each) => each.group))]) {
      const box = element("details", { open: OPEN.includes(group) }, element("summary", { text: group }));
      for (const option of schema.filter((each) => each.group === group)) box.append(this.row(option, change));
      this.root.append(box);
    }
  }

  row(option, change) {
    const { name, choices, type, low, high } = option, id = `set-${name}`;
    let field;
    if (choices) {
      field = element("select", { id }, ...Object.entries(choices).map(([value, help]) => element("option", { value, text: value, title: help })));
    } else if (type === "bool") {
      field = element("input", { id, type: "checkbox" });
    } else {
      field = element("input", { id, type: "number", min: low, max: high, step: type === "int" ? 1 : "any" });
    }
    field.addEventListener("change", () => {
      const value = type === "bool" ? field.checked : choices ? field.value : Number(field.value);
      if (field.validity.valid && field.value !== "") change({ [name]: value });
    });
    this.fields[name] = { field, option };
    const text = (LABELS[name] || name.replaceAll("_", " ")) + (option.anew ? " ↺" : "");
    const title = option.help + (option.anew ? " (begins anew)" : "");
    return element("label", { for: id, title }, element("span", { text }), field);
  }

  // values: what differs from the defaults. A field that the user is in stays as it is.
  show(values) {
    for (const [name, { field, option }] of Object.entries(this.fields)) {
      const value = values[name] ?? option.default;
      field.closest("label").classList.toggle("changed", name in values);
      if (field === document.activeElement && field.type === "number") continue;
      if (option.type === "bool") field.checked = value; else field.value = value;
    }
  }
}
