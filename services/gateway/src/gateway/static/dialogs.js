// What opens over the page: why an order happened, stopping and resuming.
import { $, api, el, quantity, when, words } from "./tools.js";

// --- why an order happened ----------------------------------------------------------------------------------------------
export async function explain(id) {
  $("why-title").textContent = id;
  $("why-order").textContent = "…";
  $("chain").replaceChildren();
  $("why").showModal();
  try {
    const { order, chain } = await api(`/explain/${encodeURIComponent(id)}`);
    if ($("why-title").textContent !== id) return; // another one was chosen while this one was read
    $("why-order").textContent = `${order.side} ${quantity(order.qty)} ${order.instrument_id} for ${order.strategy_id}: ${words(order.state)}`;
    $("chain").replaceChildren(...chain.map(link));
  } catch (error) {
    if ($("why-title").textContent === id) $("why-order").textContent = error.message;
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
export function ask(kind) {
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

export async function command(event) {
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
