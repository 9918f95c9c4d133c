// Setting a regime by hand, and lifting it.
import { $, api, el, words } from "./tools.js";
import { LEGEND } from "./marketchart.js";

const ALL = "";
const LIFT = "";

export function askOverride(names, instrument, lift) {
  $("override-instrument").replaceChildren(el("option", { value: ALL }, "All instruments"), ...names.map((value) => el("option", { value }, value)));
  $("override-instrument").value = instrument;
  $("override-regime").replaceChildren(el("option", { value: LIFT }, "as detected (lift)"), ...LEGEND.map((value) => el("option", { value }, words(value))));
  $("override-regime").value = lift ? LIFT : "VOLATILE";
  $("override-reason").value = "";
  $("override-error").textContent = "";
  fit();
  $("override").showModal();
}

// What is lifted has no end to choose.
function fit() {
  const lift = $("override-regime").value === LIFT;
  $("override-hours").disabled = lift;
  $("override-go").textContent = lift ? "Lift" : "Set regime";
}

async function send(event) {
  event.preventDefault();
  const regime = $("override-regime").value || null;
  const body = { instrument_id: $("override-instrument").value, regime, reason: $("override-reason").value };
  if (regime) body.hours = Number($("override-hours").value);
  $("override-go").disabled = true;
  try {
    await api("/regime/override", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    $("override").close();
  } catch (error) {
    $("override-error").textContent = error.message;
  } finally {
    $("override-go").disabled = false;
  }
}

export function listenToOverride() {
  $("override-regime").onchange = fit;
  $("override-form").onsubmit = send;
  $("override-cancel").onclick = () => $("override").close();
}
