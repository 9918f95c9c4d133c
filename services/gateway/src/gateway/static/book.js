// The book: key figures, the equity curve, prices, positions, orders.
import { $, amount, el, grouped, missing, percent, price, quantity, roomFor, rows, sense, signed, svg, tag, when, words } from "./tools.js";
import { explain } from "./dialogs.js";

export const HISTORY = 60; // prices per sparkline
export const seen = { prices: new Map(), points: [], currency: "", first: null };

// --- figures and the chart --------------------------------------------------------------------------------------------
function figure(id, text, value) {
  $(id).textContent = text;
  $(id).className = `${id === "equity" ? "big " : ""}${value === undefined ? "" : sense(value)}`;
}

export function showPortfolio(book) {
  seen.currency = book.currency ?? seen.currency;
  $("currency").textContent = seen.currency;
  figure("equity", grouped(book.equity, 2));
  if (seen.first && !missing(book.equity)) {
    const profit = Number(book.equity) - seen.first;
    figure("profit", signed(profit, 2), profit);
    $("profit-share").textContent = percent(profit / seen.first);
  }
  figure("gross", grouped(book.gross_exposure));
  figure("net", signed(book.net_exposure));
  figure("risk", grouped(book.total_risk));
}

export function showRisk(risk) {
  figure("drawdown", percent(risk.drawdown), -Number(risk.drawdown || 0));
  figure("var", missing(risk.var_95_1d) ? "–" : percent(risk.var_95_1d));
  figure("factor", missing(risk.exposure_factor) ? "–" : `× ${risk.exposure_factor}`);
}

export function showTrading(trading) {
  $("trading-state").textContent = trading.state;
  $("trading-state").className = `badge ${trading.state}`;
  $("trading-state").title = [trading.reason, trading.author && `by ${trading.author}`].filter(Boolean).join(", ");
  $("resume").hidden = trading.state === "ACTIVE";
}

export function showChart(points) {
  seen.points = points;
  if (points.length < 2) {
    $("chart").replaceChildren(el("p", { class: "empty" }, "Fewer than two steps have been completed."));
    return;
  }
  const [width, height, bottom] = [$("chart").clientWidth, 260, 22];
  const equity = points.map((point) => Number(point.equity));
  let [low, high] = [Math.min(...equity), Math.max(...equity)];
  const margin = (high - low || Math.abs(high) * 0.01 || 1) * 0.08;
  [low, high] = [low - margin, high + margin];
  const levels = [0.1, 0.5, 0.9].map((share) => low + (high - low) * share);
  const names = levels.map((value) => grouped(value, high - low < 10 ? 2 : 0));
  const left = roomFor(names);
  const x = (i) => left + ((width - left) * i) / (points.length - 1);
  const y = (value) => (height - bottom) * (1 - (value - low) / (high - low));
  const worst = Math.max(0.02, ...points.map((point) => point.drawdown));
  const line = equity.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const pain = points.map((point, i) => `${x(i).toFixed(1)},${((point.drawdown / worst) * height * 0.3).toFixed(1)}`).join(" ");
  const drawing = svg("svg", { width, height, role: "img", "aria-label":
    `Equity from ${grouped(equity[0])} to ${grouped(equity.at(-1))}; largest drawdown shown ${percent(worst)}` });
  for (const [i, value] of levels.entries()) {
    drawing.append(svg("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    drawing.append(svg("text", { class: "axis", x: 0, y: y(value) + 4 }, names[i]));
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
export function notePrice(name, px) {
  const known = seen.prices.get(name) ?? { past: [] };
  const before = known.past.at(-1);
  known.past.push(px);
  if (known.past.length > HISTORY) known.past.shift();
  known.move = before === undefined || px === before ? "" : px > before ? "up" : "down";
  seen.prices.set(name, known);
}

function spark(past) {
  const [low, high] = [Math.min(...past), Math.max(...past)];
  const points = past.map((px, i) => `${(88 * i) / Math.max(1, past.length - 1)},${18 - (16 * (px - low)) / (high - low || 1)}`);
  return svg("svg", { class: "spark", viewBox: "0 0 88 20", "aria-hidden": "true" }, svg("polyline", { points: points.join(" ") }));
}

export function showPrices() {
  rows("prices", [...seen.prices].sort(), ([name, { past, move }]) =>
    el("tr", {}, el("td", {}, name), el("td", { class: `num ${move}` }, price(past.at(-1))), el("td", { class: "trend" }, spark(past))),
  "No price yet.", 3);
}

export function showPositions(positions) {
  const held = positions.filter((one) => Number(one.signed_qty) !== 0 || Number(one.realized) !== 0);
  rows("positions", held, (one) => el("tr", {},
    el("td", {}, one.instrument_id),
    el("td", { class: `num ${sense(one.signed_qty)}` }, quantity(one.signed_qty, "exceptZero")),
    el("td", { class: "num" }, Number(one.avg_px) ? price(one.avg_px) : "–"),
    el("td", { class: "num" }, price(one.last_px)),
    el("td", { class: `num ${sense(one.unrealized)}` }, `${amount(one.unrealized)} ${one.quote ?? ""}`),
    el("td", { class: `num ${sense(one.realized)}` }, `${amount(one.realized)} ${one.quote ?? ""}`)),
  "No position: the book is flat.", 6);
}

export function showOrders(orders) {
  rows("orders", orders, (order) => {
    const open = () => explain(order.client_order_id);
    const what = `${order.side ?? ""} ${quantity(order.qty)} ${words(order.order_type ?? "")}`;
    return el("tr", { class: "open", tabIndex: 0, onclick: open, onkeydown: (event) => event.key === "Enter" && open() },
      el("td", {}, when(order.ts_first)), el("td", {}, order.instrument_id ?? "–"),
      el("td", { class: order.side === "BUY" ? "up" : "down" }, what),
      el("td", {}, tag(order.state ?? "PROPOSED")),
      el("td", { class: "why" }, el("div", {}, order.state === "DENIED" ? order.end_reason : [order.reason, order.rule, order.end_reason].filter(Boolean).join(" · "))));
  }, "No order.", 5);
}
