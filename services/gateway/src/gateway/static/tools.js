// Small tools: nodes, requests, numbers as people read them.

export const $ = (id) => document.getElementById(id);
export const API = "/api/v1";

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export async function api(path, options) {
  const answer = await fetch(API + path, options);
  if (answer.status === 401) location.assign("/login");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}

export const missing = (value) => value === null || value === undefined || value === "";
export const grouped = (value, digits = 0) =>
  missing(value) ? "–" : Number(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const percent = (value, digits = 2) => (missing(value) ? "–" : `${(Number(value) * 100).toFixed(digits)} %`);
export const price = (value) => (missing(value) ? "–" : Number(Number(value).toPrecision(6)).toString());
export const signed = (value, digits = 0) => (missing(value) ? "–" : (Number(value) > 0 ? "+" : "") + grouped(value, digits));
export const sense = (value) => (missing(value) || Number(value) === 0 ? "" : Number(value) > 0 ? "up" : "down");
export const when = (ns) => (ns ? new Date(Number(ns) / 1e6).toISOString().slice(0, 16).replace("T", " ") : "–");
export const words = (name) => name.toLowerCase().replaceAll("_", " ");
export const tag = (name) => el("span", { class: `tag ${name}` }, words(name));

export function rows(id, found, make, nothing, columns) {
  const shown = found.length ? found.map(make) : [el("tr", {}, el("td", { class: "empty", colSpan: columns }, nothing))];
  $(id).replaceChildren(...shown);
}

// Where in ascending `times` the last one that is not after `ts` stands; -1 before all of them.
export function place(times, ts) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= ts) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
