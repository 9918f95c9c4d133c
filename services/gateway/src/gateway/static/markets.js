// What kind of market it is: regimes of all instruments, one of them as a chart, what models say, stress, overrides, feeds, events.
import { $, api, el, missing, percent, svg, tag, when, words } from "./tools.js";
import { clearMarket, drawLevels, drawMarket, LEGEND, listenToChart } from "./marketchart.js";
import { askOverride } from "./override.js";

const ORDER = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"];
const POINTS = 300;
const state = { instrument: "", timeframe: "", readings: [], models: new Map(), market: null, overrides: [], levels: {} };
let again = () => {}; // reads the chart once more, and says at the top what is wrong

// --- all instruments --------------------------------------------------------------------------------------------------
export async function loadRegimes() {
  state.readings = await api("/regime/current");
  const frames = ORDER.filter((frame) => state.readings.some((one) => one.timeframe === frame));
  const names = [...new Set(state.readings.map((one) => one.instrument_id))].sort();
  if (!names.includes(state.instrument)) state.instrument = names[0] ?? "";
  if (!frames.includes(state.timeframe)) state.timeframe = frames[0] ?? "";
  options("market-instrument", names, state.instrument);
  options("market-timeframe", frames, state.timeframe);
  showRegimes(names, frames);
}

function options(id, values, chosen) {
  const known = [...$(id).options].map((one) => one.value).join();
  if (known !== values.join()) $(id).replaceChildren(...values.map((value) => el("option", { value }, value)));
  $(id).value = chosen;
}

function showRegimes(names, frames) {
  const found = new Map(state.readings.map((one) => [`${one.instrument_id}|${one.timeframe}`, one]));
  const head = el("thead", {}, el("tr", {}, el("th", {}, "Instrument"), ...frames.map((frame) => el("th", {}, frame))));
  const body = names.map((name) => el("tr", {}, el("td", {}, name), ...frames.map((frame) => cell(found.get(`${name}|${frame}`)))));
  const nothing = el("tr", {}, el("td", { class: "empty" }, "No bar has closed yet."));
  const focused = document.activeElement?.dataset?.key;
  $("regimes").replaceChildren(head, el("tbody", {}, ...(body.length ? body : [nothing])));
  if (focused) $("regimes").querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function cell(one) {
  if (!one) return el("td", {}, "–");
  const by = one.override ? `, set by ${one.override}` : "";
  const title = `confidence ${percent(one.confidence, 0)}, since ${when(one.since_ns)}${by}; show it as a chart`;
  const pick = el("button", { type: "button", class: `tag pick ${one.regime}`, title, onclick: () => choose(one.instrument_id, one.timeframe).catch(again) },
    words(one.regime), one.override ? " ✎" : null);
  pick.dataset.key = `${one.instrument_id}|${one.timeframe}`;
  return el("td", {}, pick, one.vol_state === "NORMAL" ? null : el("span", { class: "hot" }, words(one.vol_state)));
}

// --- one of them --------------------------------------------------------------------------------------------------------
export async function loadMarketChart() {
  const { instrument, timeframe } = state;
  if (!instrument) return;
  const which = `instrument_id=${encodeURIComponent(instrument)}&timeframe=${timeframe}`;
  const found = await api(`/regime/chart?${which}&points=${POINTS}`);
  if (instrument === state.instrument && timeframe === state.timeframe) drawMarket({ ...found, levels: state.levels });
}

export async function loadLevels() {
  const { instrument } = state;
  if (!instrument) return;
  const which = `instrument_id=${encodeURIComponent(instrument)}`;
  const [found, thresholds] = await Promise.all([api(`/prices/profile?${which}`), api(`/signals/thresholds?${which}&limit=1`)]);
  if (instrument !== state.instrument) return;
  state.levels = found;
  drawLevels(found);
  $("levels").textContent = missing(found.poc) ? "No volume profile: it needs bars of an hour or less."
    : `Most traded (POC) and 70 % of the ${found.by} (VAL to VAH) of the last 168 market hours, from ${found.bars} bars of ${found.timeframe}.`;
  const [last] = thresholds.items;
  $("thresholds").textContent = last ? `Adaptive thresholds since ${when(last.ts)}: ${last.reason}.`
    : `No adaptive thresholds: ${thresholds.reason}.`;
}

async function choose(instrument, timeframe) {
  const other = instrument !== state.instrument;
  Object.assign(state, { instrument, timeframe, levels: other ? {} : state.levels });
  $("market-instrument").value = instrument;
  $("market-timeframe").value = timeframe;
  clearMarket();
  showModels();
  if (other) await loadLevels();
  await loadMarketChart();
}

// --- what models say ----------------------------------------------------------------------------------------------------
export async function loadModels() {
  const found = await api("/regime/models");
  state.models.clear();
  noteModels(Object.fromEntries(found.map((one) => [`${one.instrument_id}|${one.timeframe}`, one])));
}

export function noteModels(news) {
  for (const [key, one] of Object.entries(news)) state.models.set(key, one);
  showModels();
}

function showModels() {
  const one = state.models.get(`${state.instrument}|${state.timeframe}`) ?? {};
  $("models-of").textContent = [state.instrument, state.timeframe].filter(Boolean).join(" ");
  const named = [["bull", "Bull", "bull"], ["sideways", "Sideways", "sideways"], ["bear", "Bear", "bear"], ["high_volatility", "High volatility", ""],
    ["change_24h", "Change within 24 h", ""], ["change_48h", "Change within 48 h", ""]];
  const known = named.filter(([name]) => !missing(one[name]));
  $("models").replaceChildren(...known.map(([name, label, kind]) => bar(label, one[name], percent(one[name], 0), kind)));
  if (!missing(one.forecast_vol)) $("models").append(el("li", {}, el("span", {}, "Volatility, next day"), el("b", {}, percent(one.forecast_vol))));
  if (!known.length) $("models").append(el("li", { class: "empty" }, ...(state.models.size
    ? ["Nothing said of this timeframe: no model fitted for it, or it is warming up."]
    : ["No model fitted. ", el("code", {}, "ballast regime fit"), " makes one."])));
}

function bar(label, share, text, kind = "") {
  const drawing = svg("svg", { class: `share ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "all", width: 100, height: 6 }), svg("rect", { class: "part", width: Math.max(0, Math.min(100, share * 100)), height: 6 }));
  return el("li", {}, el("span", {}, label), drawing, el("b", {}, text));
}

// --- the market as a whole ------------------------------------------------------------------------------------------------
export async function loadMarket() {
  const { market, overrides, as_of: now } = await api("/regime/market");
  state.overrides = overrides;
  showOverrides(now.ts_event);
  showMarket(market);
}

export function showMarket(market) {
  if (!market) {
    $("stress").replaceChildren(el("p", { class: "empty" }, "Nothing said of the market as a whole yet."));
    $("stress-parts").replaceChildren();
    return;
  }
  const score = market.stress_score;
  const known = !missing(score);
  const level = !known ? "" : score < 1 / 3 ? "low" : score < 2 / 3 ? "middle" : "high";
  const text = known ? score.toFixed(2) : "–";
  $("stress").replaceChildren(gauge(known ? score : 0, level, text), el("p", {}, known ? `in the ${level} third` : "too little is known",
    market.crisis ? tag("CRISIS") : null, market.breakdown ? el("span", { class: "tag waiting" }, "correlation breakdown") : null));
  const parts = [["volatility", "Volatility"], ["mean_correlation", "Correlation"], ["drawdown_speed", "Drawdown speed"], ["spread", "Spread"],
    ["liquidity", "Liquidity"], ["correlation_shift", "Shift of correlations"]];
  $("stress-parts").replaceChildren(...parts.map(([name, label]) => missing(market[name])
    ? el("li", {}, el("span", {}, label), el("span", { class: "quiet" }, "not known")) : bar(label, market[name], market[name].toFixed(2))));
}

function gauge(score, level, text) {
  const angle = Math.PI * (1 - score);
  const arc = (to) => `M 10 60 A 50 50 0 0 1 ${(60 + 50 * Math.cos(to)).toFixed(2)} ${(60 - 50 * Math.sin(to)).toFixed(2)}`;
  return svg("svg", { class: `gauge ${level}`, viewBox: "0 0 120 68", role: "img", "aria-label": `Stress ${text} of 1` },
    svg("path", { class: "all", d: arc(0) }), svg("path", { class: "part", d: arc(angle) }),
    svg("text", { x: 60, y: 58, "text-anchor": "middle" }, text));
}

function showOverrides(now) {
  $("overrides").replaceChildren(...state.overrides.map((one) => el("li", {},
    el("b", {}, `${one.instrument_id || "All instruments"}: ${words(one.regime)}`),
    el("button", { type: "button", class: "small", onclick: () => askOverride(names(), one.instrument_id, true) }, "Lift…"),
    el("span", { class: "quiet" }, `by ${one.author} until ${when(one.expires_ns)} (${hoursLeft(one.expires_ns, now)} left): ${one.reason}`))));
}

const hoursLeft = (until, now) => `${Math.max(0, (until - now) / 3.6e12).toFixed(1)} h`;
const names = () => [...new Set(state.readings.map((one) => one.instrument_id))].sort();

// --- feeds and what is scheduled --------------------------------------------------------------------------------------------
export async function loadFeeds() {
  const { items } = await api("/feeds");
  $("feeds-card").hidden = !items.length;
  const instruments = [...new Set(items.map((one) => one.instrument_id))];
  $("feeds").replaceChildren(...instruments.map((name) => el("li", {}, el("span", {}, name),
    el("span", {}, ...items.filter((one) => one.instrument_id === name).map(feed)))));
}

function feed(one) {
  const score = `${(one.score * 100).toFixed(0)} %`;
  return el("span", { class: `tag ${one.active ? "ready" : ""}`, title: `${one.reason} (${when(one.ts_event)})` },
    `${one.feed} ${score}${one.active ? " · active" : ""}`);
}

export async function loadEvents() {
  const { items } = await api("/events?limit=8");
  $("events").replaceChildren(...items.map((one) => el("li", {}, el("span", { class: `tag impact ${one.impact}` }, words(one.impact)),
    el("b", {}, one.currency), el("span", {}, one.name), el("time", { class: "quiet" }, when(one.ts_scheduled)))));
  if (!items.length) $("events").append(el("li", { class: "empty" }, "Nothing scheduled that is known: this data has no economic calendar."));
}

export function listenToMarkets(refresh) {
  $("legend").replaceChildren(...LEGEND.map((name) => el("li", { class: `swatch ${name}` }, words(name))));
  again = () => refresh("chart");
  const chosen = () => choose($("market-instrument").value, $("market-timeframe").value).catch(again);
  $("market-instrument").onchange = chosen;
  $("market-timeframe").onchange = chosen;
  $("override-open").onclick = () => askOverride(names(), state.instrument, false);
  listenToChart();
}
