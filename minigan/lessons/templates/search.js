// The search of the site, without a server: `sections`, of search-index.js, holds {page, title, url, text} for every section.
"use strict";

const SHOWN = 40, AROUND = 90; // results; characters of text before and after what was found
const box = document.getElementById("query"), list = document.getElementById("results"), status = document.getElementById("found");

// Lower case, without accents: "Frechet" finds "Fréchet". One character stays one, so that places in the text are the same.
const folded = (text) => Array.from(text, (c) => c.normalize("NFD")[0].toLowerCase()[0]).join("");
const indexed = sections.map((each) => ({ ...each, head: folded(`${each.title} ${each.page}`), body: folded(each.text) }));

// How well a word fits a section, 0 if not at all: a title that is the word, a title's word, a part of one, a word of the text.
function fit(word, { title, head, body }) {
  const own = folded(title), last = own.split(".").pop();
  if (own === word || last === word) return 100;
  if (own.split(/[\s._-]+/).some((each) => each.startsWith(word))) return 40;
  if (own.includes(word)) return 20;
  if (head.includes(word)) return 8;
  const at = body.indexOf(word);
  return at < 0 ? 0 : (at === 0 || !/[\p{L}\d]/u.test(body[at - 1])) ? 4 : 1;
}

// The sections that have every word, the best first.
function find(query) {
  const words = folded(query).split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  return indexed
    .map((section) => ({ section, fits: words.map((word) => fit(word, section)) }))
    .filter(({ fits }) => fits.every(Boolean))
    .map(({ section, fits }) => ({ section, words, score: fits.reduce((a, b) => a + b) }))
    .sort((a, b) => b.score - a.score);
}

// Where a text may be cut from a place on: after the next space, or, where none is near, as in Chinese, at the place.
function gap(text, place) {
  const space = text.indexOf(" ", place);
  return space >= 0 && space < place + 20 ? space + 1 : place;
}

// The text around the first word that it has, that word marked.
function excerpt({ text, body }, words) {
  const line = document.createElement("p");
  const word = words.find((each) => body.includes(each));
  const at = word ? body.indexOf(word) : 0, from = at > AROUND ? gap(text, at - AROUND) : 0;
  const to = at + AROUND < text.length ? gap(text, at + AROUND) : text.length;
  if (!word) { line.textContent = text.slice(0, to); return line; }
  const mark = document.createElement("mark");
  mark.textContent = text.slice(at, at + word.length);
  line.append(from ? "… " : "", text.slice(Math.min(from, at), at), mark, text.slice(at + word.length, Math.max(to, at + word.length)));
  return line;
}

function item({ section, words }) {
  const row = document.createElement("li"), link = document.createElement("a"), page = document.createElement("span");
  link.href = section.url;
  link.textContent = section.title;
  page.textContent = section.page === section.title ? "" : section.page;
  row.append(link, " ", page, excerpt(section, words));
  return row;
}

function show() {
  const found = find(box.value);
  list.replaceChildren(...found.slice(0, SHOWN).map(item));
  const { one, many, best } = status.dataset, more = found.length > SHOWN ? best.replace("#", SHOWN) : "";
  status.textContent = box.value.trim() ? (found.length === 1 ? one : many).replace("#", found.length) + more : "";
}

// Arrows walk through the results, Enter in the box opens the first, Escape and / lead back to the box.
document.addEventListener("keydown", (event) => {
  const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = at + (event.key === "ArrowDown" ? 1 : -1);
    (next < 0 ? box : links[Math.min(next, links.length - 1)] ?? box).focus();
  } else if (event.key === "Enter" && document.activeElement === box) links[0]?.click();
  else if (event.key === "Escape" || (event.key === "/" && document.activeElement !== box)) box.focus();
  else return;
  event.preventDefault();
});
document.getElementById("search").addEventListener("submit", (event) => event.preventDefault());
box.addEventListener("input", show);
box.value = new URLSearchParams(location.search).get("q") ?? "";
box.focus();
show();
