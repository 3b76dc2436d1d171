// What was read, as text: nothing of an answer becomes markup.
const by = (id) => document.getElementById(id);

function made(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function say(id, state, text) {
  by(id).dataset.state = state;
  by(id).textContent = text;
}

const percent = (value) => (Number.isFinite(value) ? `${value.toFixed(1)} %` : "–");
const level = (value) => (value >= 85 ? "high" : value >= 70 ? "mid" : "low");

function showResult(answer, source, chosen, choose) {
  const results = (Array.isArray(answer.results) ? answer.results : []).slice(0, 20);
  drawPhoto(by("photo"), source, results, chosen);
  by("result").hidden = results.length === 0;
  by("cost").textContent = Number.isFinite(answer.processing_time_ms) ? `${Math.round(answer.processing_time_ms)} ms` : "";
  if (results.length === 0) {
    say("status", "none", "No plate found. Try a photo from nearer, less tilted, or another country.");
    return;
  }
  const result = results[chosen] ?? results[0];
  const candidates = (Array.isArray(result.candidates) ? result.candidates : []).slice(0, 50);
  say("status", "done", results.length === 1 ? "One plate found." : `${results.length} plates found.`);
  by("plate").textContent = String(result.plate ?? "");
  drawCrop(by("crop"), source, result);
  const form = candidates.some((one) => one.plate === result.plate && one.matches_template);
  by("sure").replaceChildren(
    made("b", `${percent(result.confidence)} sure`, { "data-level": level(result.confidence) }),
    document.createTextNode(form ? ", in the form of a known plate" : ""),
    document.createTextNode(result.region ? `, ${String(result.region).toUpperCase()}` : ""),
  );
  by("plates").replaceChildren(...(results.length < 2 ? [] : results.map((one, number) => chip(one, number, chosen, choose))));
  by("candidates").classList.toggle("without-forms", !candidates.some((one) => one.matches_template));
  const others = candidates.filter((one) => one.plate !== result.plate);
  by("candidates").tBodies[0].replaceChildren(...(others.length ? others.map(row) : [nothingElse()]));
}

function chip(result, number, chosen, choose) {
  const button = made("button", String(result.plate), { type: "button", "aria-pressed": String(number === chosen) });
  button.addEventListener("click", () => choose(number));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function row(candidate) {
  const line = document.createElement("tr");
  line.append(
    made("th", String(candidate.plate), { scope: "row" }),
    made("td", percent(candidate.confidence), { class: "num" }),
    made("td", candidate.matches_template ? "known" : "", { class: "form-known" }),
  );
  return line;
}

function nothingElse() {
  const line = document.createElement("tr");
  line.append(made("td", "nothing else", { colspan: "3" }));
  return line;
}
