// Which sessions are open at data time, and what each hour of the day was worth so far.
import { $, api, el, missing, percent, svg, when } from "./tools.js";

const HOUR = 3.6e12;
const FEW = 10; // fewer observations than this are shown pale
const state = { shows: "move", cells: [], names: [], clock: null, minute: 0 };

// --- the clock ----------------------------------------------------------------------------------------------------------
export async function loadSessions() {
  state.clock = await api("/sessions");
  showClock(state.clock.ts_event);
}

// What time it is now. The clock is read anew only when a session has opened or closed; returns whether it must be.
export function noteClock(now) {
  const minute = Math.floor(now / 6e10);
  if (!state.clock || minute === state.minute) return false;
  const { ts_event: read, items } = state.clock;
  const edges = items.map((one) => (one.open ? one.closes : one.opens));
  if (!read || now < read || edges.some((edge) => now >= edge)) return true;
  showClock(now);
  return false;
}

function showClock(now) {
  const { items, overlap, fx_open: open } = state.clock;
  if (!items.length) {
    $("sessions").replaceChildren(el("li", { class: "empty" }, "No step has been completed yet."));
    return;
  }
  state.minute = Math.floor(now / 6e10);
  $("session-now").textContent = overlap || (open ? items.filter((one) => one.open).map((one) => one.session).join() || "between sessions" : "FX market closed");
  $("sessions").replaceChildren(dial(now, items), ...items.map((one) => el("li", {}, el("span", {}, one.session),
    el("span", { class: `tag ${one.open ? "ready" : ""}` }, one.open ? "open" : "closed"),
    el("span", { class: "quiet" }, `${one.open ? "closes" : "opens"} in ${span((one.open ? one.closes : one.opens) - now)}${one.early ? ", early" : ""}`))));
}

function span(ns) {
  const minutes = Math.max(0, Math.round(ns / 6e10));
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  return days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

// Twelve hours back and twelve ahead; a row for each city.
function dial(now, items) {
  const x = (ts) => 150 + ((ts - now) / HOUR) * (150 / 12);
  const rows = items.flatMap((one, i) => {
    const [from, until] = [Math.max(0, x(one.opens)), Math.min(300, x(one.closes))];
    if (until <= 0 || from >= 300) return [];
    return [svg("rect", { class: one.open ? "open" : "later", x: from, y: 2 + i * 13, width: Math.max(1, until - from), height: 11, rx: 2 }),
      svg("text", { x: from + 4, y: 11 + i * 13 }, until - from > 40 ? one.session : "")];
  });
  return el("li", { class: "dial" }, svg("svg", { viewBox: "0 0 300 66", "aria-hidden": "true" }, ...rows,
    svg("line", { x1: 150, x2: 150, y1: 0, y2: 56 }), svg("text", { x: 150, y: 65, "text-anchor": "middle" }, `${when(now).slice(11)} UTC`),
    svg("text", { x: 0, y: 65 }, "−12 h"), svg("text", { x: 300, y: 65, "text-anchor": "end" }, "+12 h")));
}

// --- hour by instrument ---------------------------------------------------------------------------------------------------
export async function loadHeatmap() {
  const { items, instruments, days } = await api("/sessions/heatmap");
  Object.assign(state, { cells: items, names: instruments });
  $("heat-days").textContent = `last ${days} days, by hour UTC; below it how many it is the mean of`;
  showHeatmap();
}

const VALUES = {
  move: { value: (one) => one.mean_move_bps, n: (one) => one.hours, text: (value) => value.toFixed(1), what: "basis points" },
  wins: { value: (one) => one.win_rate, n: (one) => one.trades, text: (value) => Math.round(value * 100).toString(), what: "% won" },
};

function showHeatmap() {
  const shows = VALUES[state.shows];
  const found = new Map(state.cells.map((one) => [`${one.instrument_id}|${one.hour}`, one]));
  const most = Math.max(1e-9, ...state.cells.map((one) => shows.value(one) ?? 0));
  const hours = [...Array(24).keys()];
  const head = el("tr", {}, el("th", { scope: "col" }, shows.what), ...hours.map((hour) => el("th", { scope: "col" }, hour.toString().padStart(2, "0"))));
  const body = state.names.map((name) => el("tr", {}, el("th", { scope: "row" }, name), ...hours.map((hour) => heat(found.get(`${name}|${hour}`), shows, most))));
  const known = state.cells.some((one) => !missing(shows.value(one)));
  const nothing = state.shows === "move" ? "No bars of an hour or less are recorded." : "No trade has been finished yet.";
  $("heatmap").replaceChildren(el("thead", {}, head), el("tbody", {}, ...(known ? body : [el("tr", {}, el("td", { class: "empty", colSpan: 25 }, nothing))])));
}

function heat(one, shows, most) {
  const value = one && shows.value(one);
  if (missing(value)) return el("td", { class: "unknown" }, "·");
  const kind = state.shows === "move" ? `m${Math.round((value / most) * 6)}` : `w${Math.round(value * 6)}`;
  const title = `${one.instrument_id}, ${one.hour}:00 to ${one.hour + 1}:00 UTC: mean move ${missing(one.mean_move_bps) ? "not known" : `${one.mean_move_bps.toFixed(1)} bps in ${one.hours} hours`}; ` +
    (one.trades ? `${percent(one.win_rate, 0)} of ${one.trades} trades that began then were won` : "no trade began then");
  return el("td", { class: `heat ${kind} ${shows.n(one) < FEW ? "few" : ""}`, title }, shows.text(value), el("small", {}, shows.n(one)));
}

export function listenToSessions() {
  $("heat-shows").onclick = ({ target }) => {
    if (!target.dataset.shows) return;
    state.shows = target.dataset.shows;
    for (const button of $("heat-shows").children) button.setAttribute("aria-pressed", button === target);
    showHeatmap();
  };
}
