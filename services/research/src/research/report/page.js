// Draws what the page already holds. Nothing is fetched.
const data = JSON.parse(document.getElementById("data").textContent);
const redraw = [];

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

const missing = (value) => value === null || value === undefined;
const grouped = (value, digits = 0) => Number(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const price = (value) => (missing(value) ? "–" : Number(Number(value).toPrecision(6)).toString());
const stamp = (seconds) => new Date(seconds * 1000).toISOString();
// A midnight closes the day before it.
const when = (seconds) => (seconds ? (seconds % 86400 ? stamp(seconds).slice(0, 16).replace("T", " ") : stamp(seconds - 1).slice(0, 10)) : "open");
const say = {
  money: (value) => `${grouped(value, 2)} ${data.currency}`,
  share: (value) => `${(value * 100).toFixed(2)} %`,
  ratio: (value) => value.toFixed(2),
  price,
};

// --- one chart ----------------------------------------------------------------------------------------------------------
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return { found, digits: step / power === 2.5 ? digits + 1 : digits };
}

function axisText(kind, value, digits) {
  if (kind === "share") return `${(value * 100).toFixed(Math.max(0, digits - 2))} %`;
  return kind === "money" ? grouped(value, digits) : value.toFixed(digits);
}

function range(values, { zero }) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (!missing(value)) { if (value < low) low = value; if (value > high) high = value; }
  if (low > high) return null;
  if (zero) { low = Math.min(low, 0); high = Math.max(high, 0); }
  const margin = (high - low || Math.abs(high) * 0.01 || 1) * 0.06;
  return [low - margin, high + margin];
}

function dates(first, last, width) {
  const years = (last - first) / 31557600;
  const found = [];
  let wanted = Math.min(10, Math.max(2, Math.floor(width / 60)));
  if (years >= 2) {
    const step = [1, 2, 5, 10, 20].find((one) => years / one <= wanted) ?? 50;
    for (let year = Math.ceil(new Date(first * 1000).getUTCFullYear() / step) * step; ; year += step) {
      const at = Date.UTC(year, 0, 1) / 1000;
      if (at > last) return found;
      if (at >= first) found.push([at, String(year)]);
    }
  }
  wanted = Math.min(8, Math.max(1, Math.floor(width / 110)));
  for (let at = 0; at <= wanted; at += 1) {
    const seconds = first + ((last - first) * at) / wanted;
    found.push([seconds, stamp(seconds).slice(0, 10)]);
  }
  return found;
}

function frame(holder, chart, values, span) {
  const [width, height] = [holder.clientWidth, holder.clientHeight];
  const bounds = range(values, chart);
  if (!bounds || width < 80) return null;
  const { found, digits } = ticks(...bounds, 4);
  const labels = found.map((value) => axisText(chart.kind, value, digits));
  const left = Math.max(...labels.map((one) => one.length)) * 6.6 + 8;
  const [top, bottom, right] = [6, 20, 6];
  const [first, last] = span;
  const x = (seconds) => left + ((width - left - right) * (seconds - first)) / (last - first || 1);
  const y = (value) => top + (height - top - bottom) * (1 - (value - bounds[0]) / (bounds[1] - bounds[0]));
  const drawing = svg("svg", { width, height, role: "img" });
  found.forEach((value, at) => {
    drawing.append(svg("line", { class: `grid ${value === 0 && chart.zero ? "zero" : ""}`, x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    drawing.append(svg("text", { class: "axis", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, labels[at]));
  });
  for (const [seconds, label] of dates(first, last, width - left)) {
    const at = x(seconds);
    const anchor = at < left + 30 ? "start" : at > width - 40 ? "end" : "middle";
    drawing.append(svg("text", { class: "axis", x: at, y: height - 5, "text-anchor": anchor }, label));
  }
  return { drawing, x, y, width, height, left, right, top, bottom, bounds };
}

function path(times, values, x, y) {
  let text = "", down = false;
  values.forEach((value, at) => {
    if (missing(value)) { down = false; return; }
    text += `${down ? "L" : "M"}${x(times[at]).toFixed(1)},${y(value).toFixed(1)}`;
    down = true;
  });
  return text;
}

function nearest(times, wanted) {
  let [low, high] = [0, times.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] < wanted) low = middle; else high = middle;
  }
  return wanted - times[low] < times[high] - wanted ? low : high;
}

function hover(holder, made, times, describe) {
  const tip = el("div", { class: "tip", hidden: true });
  const cross = svg("line", { class: "cross", y1: made.top, y2: made.height - made.bottom, visibility: "hidden" });
  made.drawing.append(cross);
  made.drawing.addEventListener("pointermove", (event) => {
    const inside = event.clientX - holder.getBoundingClientRect().left;
    const share = (inside - made.left) / (made.width - made.left - made.right);
    const at = nearest(times, times[0] + Math.min(1, Math.max(0, share)) * (times.at(-1) - times[0]));
    const here = made.x(times[at]);
    for (const name of ["x1", "x2"]) cross.setAttribute(name, here);
    cross.setAttribute("visibility", "visible");
    tip.replaceChildren(el("b", {}, when(times[at])), ...describe(at).map((line) => el("div", {}, line)));
    tip.hidden = false;
    tip.style.left = `${here + tip.offsetWidth + 14 > made.width ? Math.max(0, here - tip.offsetWidth - 10) : here + 10}px`;
  });
  made.drawing.addEventListener("pointerleave", () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); });
  return tip;
}

function drawCurves(holder, chart) {
  const names = Object.keys(chart.lines);
  const values = names.flatMap((name) => chart.lines[name]);
  const made = chart.t.length > 1 ? frame(holder, chart, values, [chart.t[0], chart.t.at(-1)]) : null;
  if (!made) {
    holder.style.height = "auto";
    holder.replaceChildren(el("p", { class: "empty" }, "Too little data for this curve."));
    return;
  }
  const { drawing, x, y } = made;
  if (chart.mark) {
    drawing.append(svg("line", { class: "grid mark", x1: x(chart.mark), x2: x(chart.mark), y1: made.top, y2: made.height - made.bottom }),
      svg("text", { class: "axis", x: x(chart.mark) + 4, y: made.top + 10 }, "held out"));
  }
  names.forEach((name, at) => {
    const line = path(chart.t, chart.lines[name], x, y);
    if (chart.area) drawing.append(svg("path", { class: `area ${chart.area}`, d: `${line}L${x(chart.t.at(-1))},${y(0)}L${x(chart.t[0])},${y(0)}Z` }));
    drawing.append(svg("path", { class: `line ${chart.area ?? ""} ${at ? "second" : ""}`, d: line }));
  });
  const last = names.map((name) => [name, chart.lines[name].findLast((value) => !missing(value))]);
  drawing.setAttribute("aria-label", last.map(([name, value]) => `${name}, at the end ${say[chart.kind](value)}`).join("; "));
  const tip = hover(holder, made, chart.t, (at) =>
    names.filter((name) => !missing(chart.lines[name][at])).map((name) => `${names.length > 1 ? `${name} ` : ""}${say[chart.kind](chart.lines[name][at])}`));
  holder.replaceChildren(drawing, tip);
}

for (const holder of document.querySelectorAll("[data-chart]")) {
  const chart = data.charts[holder.dataset.chart];
  const names = Object.keys(chart.lines);
  if (names.length > 1) holder.before(el("p", { class: "key" }, ...names.map((name, at) => el("span", {}, el("i", { class: at ? "second" : "" }), name))));
  redraw.push(() => drawCurves(holder, chart));
}

// --- trades on the price -------------------------------------------------------------------------------------------------
function drawPrices(holder, name) {
  const { t, px, marks } = data.prices[name];
  const made = t.length > 1 ? frame(holder, { kind: "price" }, px.concat(marks.map((one) => one[1])), [Math.min(t[0], ...marks.slice(0, 1).map((one) => one[0])), t.at(-1)]) : null;
  if (!made) {
    holder.style.height = "auto";
    holder.replaceChildren(el("p", { class: "empty" }, "Too little data for this curve."));
    return;
  }
  const { drawing, x, y } = made;
  drawing.append(svg("path", { class: "line price", d: path(t, px, x, y) }));
  const size = marks.length > 300 ? 3 : 4.5;
  for (const [seconds, at, kind] of marks) {
    const [left, top] = [x(seconds), y(at)];
    const tall = kind * size;
    drawing.append(kind === 0 ? svg("circle", { class: "exit", cx: left.toFixed(1), cy: top.toFixed(1), r: size * 0.6 })
      : svg("path", { class: kind > 0 ? "long" : "short", d: `M${left.toFixed(1)},${(top - tall).toFixed(1)}l${size},${2 * tall}h${-2 * size}Z` }));
  }
  drawing.setAttribute("aria-label", `${name}, daily closes with ${marks.length} entries and exits`);
  const sorted = [...marks].sort((a, b) => a[0] - b[0]);
  const words = { 1: "long at", "-1": "short at", 0: "exit at" };
  const tip = hover(holder, made, t, (at) => [price(px[at]),
    ...sorted.filter((one) => one[0] > (t[at - 1] ?? 0) && one[0] <= t[at]).slice(0, 4).map((one) => `${words[one[2]]} ${price(one[1])}, ${when(one[0])}`)]);
  holder.replaceChildren(drawing, tip);
}

const instruments = Object.keys(data.prices);
if (instruments.length) {
  const busiest = [...instruments].sort((a, b) => data.prices[b].marks.length - data.prices[a].marks.length)[0];
  const pick = el("select", { class: "pick", "aria-label": "Instrument" }, ...instruments.map((name) => el("option", { value: name }, name)));
  pick.value = busiest;
  const holder = el("figure", { class: "chart" });
  document.getElementById("prices").append(...(instruments.length > 1 ? [pick] : []), holder);
  pick.addEventListener("change", () => drawPrices(holder, pick.value));
  redraw.push(() => drawPrices(holder, pick.value));
} else document.getElementById("prices").append(el("p", { class: "empty" }, "No prices."));

// --- the list of trades ----------------------------------------------------------------------------------------------------
const PAGE = 25;
const COLUMNS = [
  ["Entry", (one) => one[0], (one) => when(one[0])], ["Exit", (one) => one[1] || Infinity, (one) => when(one[1])],
  ["Instrument", (one) => one[2]], ["Side", (one) => one[3], (one) => one[3].toLowerCase()],
  ["Quantity", (one) => one[4], (one) => Number(one[4]).toLocaleString("en", { maximumFractionDigits: 8 }), "num"], ["Bought or sold at", (one) => one[5], (one) => price(one[5]), "num"],
  ["Closed at", (one) => one[6] ?? 0, (one) => price(one[6]), "num"],
  ["Profit", (one) => one[7] ?? 0, (one) => (missing(one[7]) ? "open" : (one[7] > 0 ? "+" : "") + grouped(one[7], 2)), "num"],
  ["Commission", (one) => one[8], (one) => grouped(one[8], 2), "num"],
  ["Regime", (one) => one[9], (one) => one[9].toLowerCase().replaceAll("_", " ")], ["Session", (one) => one[10]],
  ["Strategies at entry", (one) => strategies(one).join(), (one) => strategies(one)[0] + (one[11].length > 1 ? ` +${one[11].length - 1}` : ""), "names"],
];
const strategies = (one) => one[11].map((at) => data.strategies[at]);
const list = { by: 0, down: true, from: 0 };

function showTrades() {
  const holder = document.getElementById("trades");
  if (!data.trades.length) {
    holder.replaceChildren(el("p", { class: "empty" }, "Nothing was traded."));
    return;
  }
  const key = COLUMNS[list.by][1];
  const sorted = [...data.trades].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (list.down ? -1 : 1));
  const head = el("tr", {}, ...COLUMNS.map(([name, , , kind], at) => {
    const arrow = at === list.by ? (list.down ? " ↓" : " ↑") : "";
    const sort = () => { list.down = at === list.by ? !list.down : true; list.by = at; list.from = 0; showTrades(); };
    return el("th", { class: kind === "num" ? "num" : "", tabIndex: 0, "data-sort": "", onclick: sort, onkeydown: (event) => event.key === "Enter" && sort() }, name + arrow);
  }));
  const body = sorted.slice(list.from, list.from + PAGE).map((one) => el("tr", {}, ...COLUMNS.map(([name, value, text, kind]) => {
    const color = name === "Profit" && one[7] ? (one[7] > 0 ? " up" : " down") : "";
    return el("td", { class: (kind ?? "") + color, title: kind === "names" ? strategies(one).join(", ") : "" }, text ? text(one) : value(one));
  })));
  const move = (by) => () => { list.from = Math.min(Math.max(0, list.from + by), sorted.length - 1); showTrades(); };
  const shown = `${grouped(list.from + 1)} to ${grouped(Math.min(list.from + PAGE, sorted.length))} of ${grouped(sorted.length)}`;
  holder.replaceChildren(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body))),
    el("div", { class: "more" }, el("button", { type: "button", disabled: list.from === 0, onclick: move(-PAGE) }, "Back"),
      el("button", { type: "button", disabled: list.from + PAGE >= sorted.length, onclick: move(PAGE) }, "Next"), el("span", { class: "quiet" }, shown)));
}
showTrades();

// --- theme and size --------------------------------------------------------------------------------------------------------
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
const draw = () => redraw.forEach((one) => one());
let width = 0;
new ResizeObserver(() => {
  if (document.body.clientWidth !== width) { width = document.body.clientWidth; draw(); }
}).observe(document.body);
