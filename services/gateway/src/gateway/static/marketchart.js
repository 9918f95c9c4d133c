// One instrument in one timeframe: closes with high and low, levels of volume, the regime ribbon, probabilities.
import { $, el, percent, place, price, roomFor, svg, when, words } from "./tools.js";

// Short names that fit into a span; the legend and the readout have the whole ones.
const SHORT = { TRENDING_UP: "up", TRENDING_DOWN: "down", RANGING: "range", CHOPPY: "choppy", VOLATILE: "volatile", CRISIS: "crisis", UNCERTAIN: "?" };
const MODELS = ["bull", "sideways", "bear"];
const LEVELS = { poc: "POC", value_high: "VAH", value_low: "VAL" };
const [TOP, PRICES, RIBBON, STRIP, RIGHT] = [8, 280, 22, 42, 44];
const ROWS = [0.05, 0.35, 0.65, 0.95]; // of the grid, as shares of the height
const NONE = { bars: { ts_event: [] }, spans: [], models: { ts_event: [] }, levels: {} };
let shown = NONE;
let cursor = null;
let edge = 58; // where prices begin, right of their labels

export function drawMarket(found) {
  shown = found;
  const { ts_event: times, close, high, low } = found.bars;
  if (times.length < 2) {
    $("market-chart").replaceChildren(el("p", { class: "empty" }, "Fewer than two bars have closed."));
    return;
  }
  const width = $("market-chart").clientWidth;
  const scale = scales(width, times.length, low, high, found.levels);
  const modeled = found.models.ts_event.length > 0 && found.models.bull.some((value) => value !== null);
  const height = TOP + PRICES + 6 + RIBBON + 6 + STRIP + 18;
  const drawing = svg("svg", { width, height, role: "img", "aria-label": summary(found) });
  drawing.append(...grid(scale), ...priceLines(scale, close, high, low), ...levelLines(scale, found.levels));
  drawing.append(...ribbon(scale, times, found.spans), ...strip(scale, times, modeled ? found.models : null));
  drawing.append(
    svg("text", { class: "axis", x: edge, y: height - 3 }, when(times[0])),
    svg("text", { class: "axis", x: width - RIGHT, y: height - 3, "text-anchor": "end" }, when(times.at(-1))),
    svg("line", { class: "cursor", y1: TOP, y2: height - 18, x1: -9, x2: -9 }),
  );
  $("market-chart").replaceChildren(drawing);
  point(cursor === null ? times.length - 1 : Math.min(cursor, times.length - 1), cursor !== null);
}

// Levels come on their own, now and then: they are drawn into what is there.
export function drawLevels(levels) {
  if (shown !== NONE) drawMarket({ ...shown, levels });
}

function scales(width, count, low, high, levels) {
  let [least, most] = [Math.min(...low), Math.max(...high)];
  const reach = (most - least || most * 0.01) * 0.25; // a level a little outside is shown, a far one would flatten the prices
  for (const name in LEVELS) {
    const level = levels[name];
    if (level && level > least - reach && level < most + reach) [least, most] = [Math.min(least, level), Math.max(most, level)];
  }
  const margin = (most - least || most * 0.01) * 0.05;
  [least, most] = [least - margin, most + margin];
  edge = roomFor(ROWS.map((share) => price(least + (most - least) * share)));
  const step = (width - edge - RIGHT) / Math.max(1, count - 1);
  return { width, step, least, most, x: (i) => edge + step * i, y: (px) => TOP + PRICES * (1 - (px - least) / (most - least)) };
}

function grid({ width, least, most, y }) {
  return ROWS.flatMap((share) => {
    const px = least + (most - least) * share;
    return [svg("line", { class: "grid", x1: edge, x2: width - RIGHT, y1: y(px), y2: y(px) }),
      svg("text", { class: "axis", x: 0, y: y(px) + 4 }, price(px))];
  });
}

function priceLines({ x, y }, close, high, low) {
  const at = (px, i) => `${x(i).toFixed(1)},${y(px).toFixed(1)}`;
  return [svg("polygon", { class: "range", points: [...high.map(at), ...low.map(at).reverse()].join(" ") }),
    svg("polyline", { class: "line", points: close.map(at).join(" ") })];
}

function levelLines({ width, y, least, most }, levels) {
  const inside = Object.entries(LEVELS).filter(([name]) => levels[name] && levels[name] >= least && levels[name] <= most);
  let taken = -99; // labels that would lie over each other are moved down
  return inside.sort(([a], [b]) => levels[b] - levels[a]).flatMap(([name, label]) => {
    const at = y(levels[name]);
    taken = Math.max(at + 4, taken + 12);
    return [svg("line", { class: `level ${name}`, x1: edge, x2: width - RIGHT, y1: at, y2: at }),
      svg("text", { class: "axis level-name", x: width - RIGHT + 5, y: taken }, label)];
  });
}

function ribbon({ x, step }, times, spans) {
  const y = TOP + PRICES + 6;
  return spans.flatMap((one) => {
    const [from, until] = [Math.max(0, place(times, one.from_ns)), place(times, one.until_ns)];
    if (until < 0) return [];
    const [left, right] = [Math.max(edge, x(from) - step / 2), x(until) + step / 2];
    const name = `${words(one.regime)}${one.override && `, set by ${one.override}`}: ${one.bars} bars from ${when(one.from_ns)}`;
    const box = svg("rect", { class: `regime ${one.regime} ${one.override ? "set" : ""}`, x: left, y, width: Math.max(1, right - left), height: RIBBON }, svg("title", {}, name));
    const label = `${SHORT[one.regime]}${one.override && " ✎"}`;
    if (right - left < label.length * 7 + 6) return [box];
    return [box, svg("text", { class: `regime-name ${one.regime}`, x: (left + right) / 2, y: y + 14, "text-anchor": "middle" }, label)];
  });
}

function strip({ x, width }, times, models) {
  const top = TOP + PRICES + RIBBON + 12;
  if (!models) return [svg("text", { class: "axis", x: edge, y: top + 24 }, "No probabilities: no model fitted.")];
  const known = models.ts_event.map((ts, i) => [place(times, ts), i]).filter(([at, i]) => at >= 0 && models.bull[i] !== null);
  const shapes = [];
  let under = known.map(() => 0);
  for (const name of MODELS) {
    const over = known.map(([, i], k) => under[k] + models[name][i]);
    const at = (value, k) => `${x(known[k][0]).toFixed(1)},${(top + STRIP * (1 - value)).toFixed(1)}`;
    shapes.push(svg("polygon", { class: `model ${name}`, points: [...over.map(at), ...under.map(at).reverse()].join(" ") }, svg("title", {}, name)));
    under = over;
  }
  return [...shapes, svg("text", { class: "axis", x: 0, y: top + 12 }, "bear"), svg("text", { class: "axis", x: 0, y: top + 25 }, "sideways"),
    svg("text", { class: "axis", x: 0, y: top + 38 }, "bull"), svg("rect", { class: "frame", x: edge, y: top, width: width - edge - RIGHT, height: STRIP })];
}

function summary({ bars, spans }) {
  const last = spans.slice(-3).reverse().map((one) => `${words(one.regime)} since ${when(one.from_ns)}`).join(", before that ");
  return `${bars.ts_event.length} bars, last close ${price(bars.close.at(-1))}. Regime ${last || "not known"}.`;
}

// --- reading it off: by pointer, or by arrow keys -----------------------------------------------------------------------
function point(i, marked) {
  const { bars, spans, models } = shown;
  const ts = bars.ts_event[i];
  const span = spans.findLast((one) => one.from_ns <= ts);
  const at = place(models.ts_event, ts);
  const odds = at >= 0 && models.bull[at] !== null ? ` · ${MODELS.map((name) => `${name} ${percent(models[name][at], 0)}`).join(", ")}` : "";
  $("market-readout").textContent = `${when(ts)} · ${price(bars.close[i])} · ${span ? words(span.regime) : "no reading"}${odds}`;
  const line = $("market-chart").querySelector(".cursor");
  const step = (line.parentNode.clientWidth - edge - RIGHT) / (bars.ts_event.length - 1);
  for (const end of ["x1", "x2"]) line.setAttribute(end, marked ? edge + step * i : -9);
}

function move(i) {
  const last = shown.bars.ts_event.length - 1;
  if (last < 1) return;
  cursor = i === null ? null : Math.max(0, Math.min(last, Math.round(i)));
  point(cursor ?? last, cursor !== null);
}

export function listenToChart() {
  const chart = $("market-chart");
  chart.onpointermove = ({ clientX }) => {
    const width = chart.clientWidth - edge - RIGHT;
    move(((clientX - chart.getBoundingClientRect().left - edge) / width) * (shown.bars.ts_event.length - 1));
  };
  chart.onpointerleave = () => move(null);
  chart.onfocus = () => $("market-readout").setAttribute("aria-live", "polite"); // elsewhere it would talk with every bar
  chart.onblur = () => {
    $("market-readout").setAttribute("aria-live", "off");
    move(null);
  };
  chart.onkeydown = (event) => {
    const last = shown.bars.ts_event.length - 1;
    const steps = { ArrowLeft: (cursor ?? last) - 1, ArrowRight: (cursor ?? last) + 1, Home: 0, End: last, Escape: null };
    if (!(event.key in steps)) return;
    event.preventDefault();
    move(steps[event.key]);
  };
  addEventListener("resize", () => drawMarket(shown));
}

export function clearMarket() { // what is there belongs to another instrument
  [cursor, shown] = [null, NONE];
  $("market-chart").replaceChildren();
  $("market-readout").textContent = "–";
}

export const LEGEND = Object.keys(SHORT);
