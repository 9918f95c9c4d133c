// The page: REST for what is, the WebSocket for what changes. No framework, nothing from elsewhere.

const $ = (id) => document.getElementById(id);
const API = "/api/v1";
const HISTORY = 60; // prices per sparkline
const state = { prices: new Map(), points: [], filter: "", currency: "", first: null, pace: [] };

// --- small tools ------------------------------------------------------------------------------------------------------
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

async function api(path, options) {
  const answer = await fetch(API + path, options);
  if (answer.status === 401) location.assign("/login");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}

const missing = (value) => value === null || value === undefined || value === "";
const grouped = (value, digits = 0) =>
  missing(value) ? "–" : Number(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const percent = (value) => (missing(value) ? "–" : `${(Number(value) * 100).toFixed(2)} %`);
const price = (value) => (missing(value) ? "–" : Number(Number(value).toPrecision(6)).toString());
const signed = (value, digits = 0) => (missing(value) ? "–" : (Number(value) > 0 ? "+" : "") + grouped(value, digits));
const sense = (value) => (missing(value) || Number(value) === 0 ? "" : Number(value) > 0 ? "up" : "down");
const when = (ns) => (ns ? new Date(Number(ns) / 1e6).toISOString().slice(0, 16).replace("T", " ") : "–");
const words = (name) => name.toLowerCase().replaceAll("_", " ");
const tag = (name) => el("span", { class: `tag ${name}` }, words(name));

function rows(id, found, make, nothing, columns) {
  const shown = found.length ? found.map(make) : [el("tr", {}, el("td", { class: "empty", colSpan: columns }, nothing))];
  $(id).replaceChildren(...shown);
}

// --- figures and the chart --------------------------------------------------------------------------------------------
function figure(id, text, value) {
  $(id).textContent = text;
  $(id).className = `${id === "equity" ? "big " : ""}${value === undefined ? "" : sense(value)}`;
}

function showPortfolio(book) {
  state.currency = book.currency ?? state.currency;
  $("currency").textContent = state.currency;
  figure("equity", grouped(book.equity, 2));
  if (state.first && !missing(book.equity)) {
    const profit = Number(book.equity) - state.first;
    figure("profit", signed(profit, 2), profit);
    $("profit-share").textContent = percent(profit / state.first);
  }
  figure("gross", grouped(book.gross_exposure));
  figure("net", signed(book.net_exposure));
  figure("risk", grouped(book.total_risk));
}

function showRisk(risk) {
  figure("drawdown", percent(risk.drawdown), -Number(risk.drawdown || 0));
  figure("var", missing(risk.var_95_1d) ? "–" : percent(risk.var_95_1d));
  figure("factor", missing(risk.exposure_factor) ? "–" : `× ${risk.exposure_factor}`);
}

function showTrading(trading) {
  $("trading-state").textContent = trading.state;
  $("trading-state").className = `badge ${trading.state}`;
  $("trading-state").title = [trading.reason, trading.author && `by ${trading.author}`].filter(Boolean).join(", ");
  $("resume").hidden = trading.state === "ACTIVE";
}

function showChart(points) {
  state.points = points;
  if (points.length < 2) return;
  const [width, height, left, bottom] = [$("chart").clientWidth, 260, 62, 22];
  const equity = points.map((point) => Number(point.equity));
  let [low, high] = [Math.min(...equity), Math.max(...equity)];
  const margin = (high - low || Math.abs(high) * 0.01 || 1) * 0.08;
  [low, high] = [low - margin, high + margin];
  const x = (i) => left + ((width - left) * i) / (points.length - 1);
  const y = (value) => (height - bottom) * (1 - (value - low) / (high - low));
  const worst = Math.max(0.02, ...points.map((point) => point.drawdown));
  const line = equity.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const pain = points.map((point, i) => `${x(i).toFixed(1)},${((point.drawdown / worst) * height * 0.3).toFixed(1)}`).join(" ");
  const drawing = svg("svg", { width, height, role: "img", "aria-label":
    `Equity from ${grouped(equity[0])} to ${grouped(equity.at(-1))}; largest drawdown shown ${percent(worst)}` });
  for (const share of [0.1, 0.5, 0.9]) {
    const value = low + (high - low) * share;
    drawing.append(svg("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    drawing.append(svg("text", { class: "axis", x: 0, y: y(value) + 4 }, grouped(value)));
  }
  drawing.append(
    svg("polygon", { class: "pain", points: `${left},0 ${pain} ${width},0` }),
    svg("polygon", { class: "area", points: `${left},${height - bottom} ${line} ${width},${height - bottom}` }),
    svg("polyline", { class: "line", points: line }),
    svg("text", { class: "axis", x: left, y: height - 5 }, when(points[0].ts_event).slice(0, 10)),
    svg("text", { class: "axis", x: width, y: height - 5, "text-anchor": "end" }, when(points.at(-1).ts_event).slice(0, 10)),
  );
  $("chart").replaceChildren(drawing);
}

// --- tables -----------------------------------------------------------------------------------------------------------
function notePrice(name, px) {
  const known = state.prices.get(name) ?? { past: [] };
  const before = known.past.at(-1);
  known.past.push(px);
  if (known.past.length > HISTORY) known.past.shift();
  known.move = before === undefined || px === before ? "" : px > before ? "up" : "down";
  state.prices.set(name, known);
}

function spark(past) {
  const [low, high] = [Math.min(...past), Math.max(...past)];
  const points = past.map((px, i) => `${(88 * i) / Math.max(1, past.length - 1)},${18 - (16 * (px - low)) / (high - low || 1)}`);
  return svg("svg", { class: "spark", viewBox: "0 0 88 20", "aria-hidden": "true" }, svg("polyline", { points: points.join(" ") }));
}

function showPrices() {
  rows("prices", [...state.prices].sort(), ([name, { past, move }]) =>
    el("tr", {}, el("td", {}, name), el("td", { class: `num ${move}` }, price(past.at(-1))), el("td", { class: "trend" }, spark(past))),
  "No price yet.", 3);
}

function showPositions(positions) {
  const held = positions.filter((one) => Number(one.signed_qty) !== 0 || Number(one.realized) !== 0);
  rows("positions", held, (one) => el("tr", {},
    el("td", {}, one.instrument_id),
    el("td", { class: `num ${sense(one.signed_qty)}` }, signed(one.signed_qty)),
    el("td", { class: "num" }, Number(one.avg_px) ? price(one.avg_px) : "–"),
    el("td", { class: "num" }, price(one.last_px)),
    el("td", { class: `num ${sense(one.unrealized)}` }, `${signed(one.unrealized, 2)} ${one.quote ?? ""}`),
    el("td", { class: `num ${sense(one.realized)}` }, `${signed(one.realized, 2)} ${one.quote ?? ""}`)),
  "No position: the book is flat.", 6);
}

function showRegimes(readings) {
  const frames = [...new Set(readings.map((one) => one.timeframe))];
  const order = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"];
  frames.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const names = [...new Set(readings.map((one) => one.instrument_id))].sort();
  const found = new Map(readings.map((one) => [`${one.instrument_id}|${one.timeframe}`, one]));
  const cell = (one) => one ? el("td", { title: `confidence ${percent(one.confidence)}, since ${when(one.since_ns)}` },
    tag(one.regime), one.vol_state === "NORMAL" ? null : el("span", { class: "hot" }, words(one.vol_state))) : el("td", {}, "–");
  const head = el("thead", {}, el("tr", {}, el("th", {}, "Instrument"), ...frames.map((frame) => el("th", {}, frame))));
  const body = names.map((name) => el("tr", {}, el("td", {}, name), ...frames.map((frame) => cell(found.get(`${name}|${frame}`)))));
  const nothing = el("tr", {}, el("td", { class: "empty" }, "No bar has closed yet."));
  $("regimes").replaceChildren(head, el("tbody", {}, ...(body.length ? body : [nothing])));
}

function showOrders(orders) {
  rows("orders", orders, (order) => {
    const open = () => explain(order.client_order_id);
    const what = `${order.side ?? ""} ${grouped(order.qty)} ${words(order.order_type ?? "")}`;
    return el("tr", { class: "open", tabIndex: 0, onclick: open, onkeydown: (event) => event.key === "Enter" && open() },
      el("td", {}, when(order.ts_first)), el("td", {}, order.instrument_id ?? "–"),
      el("td", { class: order.side === "BUY" ? "up" : "down" }, what),
      el("td", {}, tag(order.state ?? "PROPOSED")),
      el("td", { class: "why" }, el("div", {}, order.state === "DENIED" ? order.end_reason : [order.reason, order.rule, order.end_reason].filter(Boolean).join(" · "))));
  }, "No order.", 5);
}

function showServices(answer) {
  $("services").replaceChildren(...answer.services.map((one) => {
    const lacks = Object.entries(one.waits_for ?? {}).map(([what, why]) => `${what}: ${why}`).join("; ");
    return el("li", { title: lacks || (one.seq === null ? "never heard" : `at ${one.seq} on the tape`) }, el("span", {}, one.service.replace("_", " ")), tag(one.state));
  }));
  if (!answer.tape.up) throw new Error("NATS is out of reach: nothing new arrives, and commands cannot be given here");
}

function showAlerts(alerts) {
  if (!alerts.length) return;
  $("alerts").replaceChildren(...alerts.map((one) => el("li", { class: one.severity },
    el("b", {}, one.title), el("span", { class: "quiet" }, `${when(one.ts_event)} · ${one.detail}`))));
}

// --- why an order happened ----------------------------------------------------------------------------------------------
async function explain(id) {
  $("why-title").textContent = id;
  $("why-order").textContent = "…";
  $("chain").replaceChildren();
  $("why").showModal();
  try {
    const { order, chain } = await api(`/explain/${encodeURIComponent(id)}`);
    $("why-order").textContent = `${order.side} ${grouped(order.qty)} ${order.instrument_id} for ${order.strategy_id}: ${words(order.state)}`;
    $("chain").replaceChildren(...chain.map(link));
  } catch (error) {
    $("why-order").textContent = error.message;
  }
}

function link(one) {
  const inputs = Object.keys(one.inputs).length ? el("details", {}, el("summary", {}, "what went in"),
    el("pre", {}, JSON.stringify(one.inputs, null, 2))) : null;
  return el("li", { class: `${one.stage} ${one.what.startsWith("denied") ? "denied" : ""}` },
    el("span", { class: "stage" }, `${one.stage} · ${words(one.by)} · ${when(one.ts_event)} · #${one.seq}`),
    el("p", {}, one.what), el("p", { class: "rule" }, one.rule), inputs);
}

// --- stop and resume --------------------------------------------------------------------------------------------------
function ask(kind) {
  const halt = kind === "halt";
  $("command-title").textContent = halt ? "Stop trading?" : "Resume trading?";
  $("command-text").textContent = halt
    ? "No new order is accepted and working orders are canceled, at once. It stays so until somebody resumes."
    : "Orders are accepted again. Drawdown ladders start a new episode from the equity of now.";
  $("flatten-label").hidden = !halt;
  $("flatten").checked = false;
  $("reason").value = "";
  $("command-error").textContent = "";
  $("command-go").textContent = halt ? "Stop trading" : "Resume";
  $("command-go").className = halt ? "stop" : "resume";
  $("command").dataset.kind = kind;
  $("command").showModal();
}

async function command(event) {
  event.preventDefault();
  const kind = $("command").dataset.kind;
  const body = { reason: $("reason").value, ...(kind === "halt" ? { flatten: $("flatten").checked } : {}) };
  $("command-go").disabled = true;
  try {
    await api(`/risk/${kind}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    $("command").close();
  } catch (error) {
    $("command-error").textContent = error.message;
  } finally {
    $("command-go").disabled = false;
  }
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
  regime: () => soon("regimes"),
  orders: () => soon("orders"),
  alerts: () => soon("alerts"),
};

function listen() {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}${API}/stream`);
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    noteTime(frame.ts_event);
    heard[frame.topic]?.(frame);
  };
  socket.onclose = () => setTimeout(() => { refreshAll(); listen(); }, 1000);
}

// --- what is ------------------------------------------------------------------------------------------------------------
const load = {
  async status() {
    const now = await api("/status");
    showTrading(now.trading_state);
    noteTime(now.tape.ts_event);
    const end = now.ended ? ` · data ended after ${grouped(now.ended.steps)} steps` : "";
    if (now.run) $("run").textContent = `${now.run.profile} · ${now.run.data}${end}`;
  },
  async history() {
    const { items } = await api("/portfolio/history?points=400");
    if (items.length) state.first = Number(items[0].equity);
    showChart(items);
  },
  portfolio: async () => showPortfolio(await api("/portfolio")),
  risk: async () => showRisk(await api("/risk/portfolio")),
  async prices() {
    const { items } = await api(`/prices/history?points=${HISTORY}`);
    state.prices.clear();
    for (const one of items) for (const px of one.px) notePrice(one.instrument_id, px);
    showPrices();
  },
  positions: async () => showPositions(await api("/positions")),
  regimes: async () => showRegimes(await api("/regime/current")),
  orders: async () => showOrders((await api(`/orders?limit=60${state.filter && `&state=${state.filter}`}`)).items),
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
  }
  const said = [...new Set(failing.values())].join(" · ");
  $("trouble").textContent = said;
  $("trouble").hidden = !said;
}

// However much happens, each part is fetched at most once a second.
function soon(name) {
  if (waiting.has(name)) return;
  waiting.add(name);
  setTimeout(() => { waiting.delete(name); refresh(name); }, 1000);
}

async function refreshAll() {
  await refresh("history");
  await Promise.all(Object.keys(load).filter((name) => name !== "history").map(refresh));
}

addEventListener("resize", () => showChart(state.points));
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

await refreshAll();
listen();
setInterval(() => refresh("services"), 2000);
setInterval(() => refresh("status"), 5000);
