// Small tools: nodes, requests, numbers as people read them.

export const $ = (id) => document.getElementById(id);
export const API = "/api/v1";
const PATIENCE = 12_000; // the gateway itself gives up on a database after ten seconds, and says so

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
  const answer = await fetch(API + path, { signal: AbortSignal.timeout(PATIENCE), ...options }).catch(() => {
    throw new Error("The gateway does not answer: what is shown may be old");
  });
  if (answer.status === 401) location.assign("/login");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}

export const missing = (value) => value === null || value === undefined || value === "";
export const grouped = (value, digits = 0, signDisplay = "negative") => // negative: what is rounded to zero has no sign
  missing(value) ? "–" : Number(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay });
export const percent = (value, digits = 2) => (missing(value) ? "–" : `${(Number(value) * 100).toFixed(digits)} %`);
export const signed = (value, digits = 0) => grouped(value, digits, "exceptZero");

// Coins cost from 1e-8 to 1e8 and are held by the thousandth: six digits count, but none before the point is ever rounded away.
const behind = (value, digits) => (Number(value) ? Math.max(0, Math.min(20, digits - 1 - Math.floor(Math.log10(Math.abs(value))))) : 0);
const exact = (value, maximumFractionDigits, signDisplay) =>
  missing(value) ? "–" : Number(value).toLocaleString("en", { maximumFractionDigits, signDisplay });
export const price = (value) => exact(value, Math.max(2, behind(value, 6)));
export const quantity = (value, signDisplay = "auto") => exact(value, behind(value, 6), signDisplay);
export const amount = (value) => signed(value, Math.min(8, Math.max(2, behind(value, 2)))); // of money whose unit may be a coin
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

// How wide a column for these is, in px: digits of 11 px are 7 wide, the widest that a font of ours has.
export const roomFor = (labels) => Math.max(58, ...labels.map((label) => 7 * label.length + 6));
