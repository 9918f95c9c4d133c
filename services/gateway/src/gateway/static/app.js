// The page: REST for what is, the WebSocket for what changes. No framework, nothing from elsewhere.
import { $, API, api, el, grouped, tag, when } from "./tools.js";
import { HISTORY, notePrice, seen, showChart, showOrders, showPortfolio, showPositions, showPrices, showRisk, showTrading } from "./book.js";
import { ask, command } from "./dialogs.js";
import { listenToMarkets, loadEvents, loadFeeds, loadLevels, loadMarket, loadMarketChart, loadModels, loadRegimes, noteModels, showMarket } from "./markets.js";
import { listenToOverride } from "./override.js";
import { listenToSessions, loadHeatmap, loadSessions, noteClock } from "./sessions.js";

const FIRST = ["history", "regimes"];
const LAST = ["sessions", "models", "market", "levels", "heatmap", "events", "feeds"];
const MINUTE = 60_000;
const [AT_FIRST, AT_LAST] = [1000, 8000]; // from one attempt at the stream to the next
const AGAIN = 5000; // until what could not be read is tried again
const PACE = 0.5 + Math.random();
const state = { filter: "", pace: [] };

function showServices(answer) {
  $("services").replaceChildren(...answer.services.map((one) => {
    const lacks = Object.entries(one.waits_for ?? {}).map(([what, why]) => `${what}: ${why}`).join("; ");
    return el("li", { title: lacks || (one.seq === null ? "never heard" : `at ${one.seq} on the tape`) }, el("span", {}, one.service.replace("_", " ")), tag(one.state));
  }));
  if (!answer.tape.up) throw new Error("NATS is out of reach: nothing new arrives, and commands cannot be given here");
}

function showAlerts(alerts) {
  const nothing = el("li", { class: "empty" }, "None.");
  $("alerts").replaceChildren(...(alerts.length ? [] : [nothing]), ...alerts.map((one) => el("li", { class: one.severity },
    el("b", {}, one.title), el("span", { class: "quiet" }, `${when(one.ts_event)} · ${one.detail}`))));
}

// --- what changes -------------------------------------------------------------------------------------------------------
function noteTime(ts) {
  if (!ts) return;
  $("data-time").textContent = `${when(ts)} UTC`;
  const now = performance.now();
  state.pace.push([now, Number(ts) / 1e6]);
  while (state.pace.length > 2 && now - state.pace[0][0] > 5000) state.pace.shift();
  const [[wall, data]] = state.pace;
  const speed = (Number(ts) / 1e6 - data) / (now - wall);
  $("speed").textContent = now - wall < 500 || speed <= 0 ? "" : speed < 1.5 ? "real time" : `${grouped(speed)}× real time`;
}

const heard = {
  prices({ data }) {
    for (const [name, px] of Object.entries(data)) notePrice(name, px);
    showPrices();
  },
  portfolio({ data }) {
    if ("equity" in data) showPortfolio(data);
    if ("execution" in data) soon("positions");
  },
  risk({ data }) {
    if (data.risk) showRisk(data.risk);
    if (data.trading_state) showTrading(data.trading_state);
    soon("history");
  },
  regime() {
    soon("regimes");
    soon("chart", 3000);
  },
  models: ({ data }) => noteModels(data),
  market: ({ data }) => showMarket(data.market),
  overrides: () => soon("market"),
  feeds: () => soon("feeds"),
  calendar: () => soon("events"),
  orders: () => soon("orders"),
  alerts: () => soon("alerts"),
};

function listen(wait) {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}${API}/stream`);
  socket.onmessage = ({ data }) => {
    wait = 0;
    const frame = JSON.parse(data);
    noteTime(frame.ts_event);
    if (noteClock(frame.ts_event)) soon("sessions");
    heard[frame.topic]?.(frame);
  };
  socket.onopen = () => { if (wait) refreshAll(); }; // what was said meanwhile
  socket.onclose = () => setTimeout(listen, wait || AT_FIRST, Math.min(AT_LAST, 2 * (wait || AT_FIRST)));
}

// --- what is ------------------------------------------------------------------------------------------------------------
const load = {
  async status() {
    const now = await api("/status");
    showTrading(now.trading_state);
    noteTime(now.tape.ts_event);
    const end = now.ended ? ` · data ended after ${grouped(now.ended.steps)} steps` : "";
    if (!now.run) return;
    const { profile, data } = now.run;
    $("run").textContent = `${profile} · ${data.replace(/\/.*\//, "")}${end}`; // of a directory its name; where it is, the pointer tells
    $("run").title = data;
  },
  async history() {
    const { items } = await api("/portfolio/history?points=400");
    if (items.length) seen.first = Number(items[0].equity);
    showChart(items);
  },
  portfolio: async () => showPortfolio(await api("/portfolio")),
  risk: async () => showRisk(await api("/risk/portfolio")),
  async prices() {
    const [last, { items }] = await Promise.all([api("/prices"), api(`/prices/history?points=${HISTORY}`)]);
    seen.prices.clear();
    for (const one of items) for (const px of one.px) notePrice(one.instrument_id, px);
    for (const one of last) if (!seen.prices.has(one.instrument_id)) notePrice(one.instrument_id, one.px); // its market is closed
    showPrices();
  },
  positions: async () => showPositions(await api("/positions")),
  regimes: loadRegimes,
  chart: loadMarketChart,
  levels: loadLevels,
  models: loadModels,
  market: loadMarket,
  feeds: loadFeeds,
  events: loadEvents,
  sessions: loadSessions,
  heatmap: loadHeatmap,
  async orders() {
    const { filter } = state;
    const { items } = await api(`/orders?limit=60${filter && `&state=${filter}`}`);
    if (filter === state.filter) showOrders(items); // else another one was chosen meanwhile
  },
  alerts: async () => showAlerts((await api("/alerts?limit=20")).items),
  services: async () => showServices(await api("/health/services")),
};

const failing = new Map();
const waiting = new Set();

async function refresh(name) {
  try {
    await load[name]();
    failing.delete(name);
  } catch (error) {
    failing.set(name, error.message);
    soon(name, AGAIN);
  }
  const said = [...new Set(failing.values())].join(" · ");
  $("trouble").textContent = said;
  $("trouble").hidden = !said;
}

// However much happens, each part is fetched about once in `ms`: at another moment than by all the other pages that hear of it.
function soon(name, ms = 1000) {
  if (waiting.has(name)) return;
  waiting.add(name);
  setTimeout(() => { waiting.delete(name); refresh(name); }, ms * PACE);
}

// The chart waits for what says which instruments there are; what is at the bottom is asked for one by one, when the rest is there.
async function refreshAll() {
  for (const name of FIRST) await refresh(name);
  await Promise.all(Object.keys(load).filter((name) => ![...FIRST, ...LAST].includes(name)).map(refresh));
  for (const name of LAST) {
    await new Promise((later) => setTimeout(later, 300 * PACE));
    await refresh(name);
  }
}

addEventListener("resize", () => showChart(seen.points));
$("stop").onclick = () => ask("halt");
$("resume").onclick = () => ask("resume");
$("command-cancel").onclick = () => $("command").close();
$("command-form").onsubmit = command;
$("filter").onclick = ({ target }) => {
  if (target.dataset.state === undefined) return;
  state.filter = target.dataset.state;
  for (const button of $("filter").children) button.setAttribute("aria-pressed", button === target);
  refresh("orders");
};
listenToMarkets(refresh);
listenToOverride();
listenToSessions();

refreshAll();
listen(0);
const every = { services: 2000, status: 5000, sessions: MINUTE, levels: MINUTE, heatmap: MINUTE, events: MINUTE, market: MINUTE };
for (const [name, ms] of Object.entries(every)) setInterval(() => refresh(name), ms);
