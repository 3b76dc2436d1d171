// A photo's way through the page: chosen, shrunk, sent, shown. A newer photo ends whatever is under way.
const HERE = location.pathname.replace(/\/+$/, "");
const REPORT = HERE.replace(/[^/]+$/, "report");
const WAIT_S = 10;
const MOST_WAITS = 90;

let current = null;   // the photo at hand: {canvas, blob, image}
let turn = 0;         // counts photos and retries; an answer to an older one is dropped

async function take(file) {
  if (!file) return;
  const mine = (turn += 1);
  by("result").hidden = true;
  by("cost").textContent = "";
  say("status", "work", "Making the photo small …");
  try {
    const photo = await shrunk(file);
    if (mine !== turn) return;
    current = photo;
    by("send").disabled = false;
    if (file.lastModified) by("time").value = localTime(file.lastModified);
    by("invite").hidden = true;
    by("drop").classList.add("full");
    drawPhoto(by("photo"), photo.canvas, [], 0);
    await read();
  } catch (error) {
    if (mine === turn) say("status", "bad", error.message);
  }
}

async function read() {
  if (!current) return;
  const mine = (turn += 1);
  by("result").hidden = true;
  for (let waits = 0; waits < MOST_WAITS; waits += 1) {
    if (waits === 0) say("status", "work", `Reading ${Math.round(current.blob.size / 1000)} kB …`);
    const [status, value] = await asked();
    if (mine !== turn) return;
    if (status === 200) { show(value, 0); return; }
    if (value.code !== "not-running") { say("status", "bad", problem(status, value)); return; }
    for (let left = WAIT_S; left > 0; left -= 1) {
      say("status", "wait", `${value.error} Next try in ${left} s.`);
      await pause(1000);
      if (mine !== turn) return;
    }
  }
  say("status", "bad", "The plate reader did not come up.");
}

async function asked() {
  const body = JSON.stringify({ image: current.image, country: by("country").value, n: 8 });
  try {
    const answer = await fetch(`${HERE}/read`, { method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body });
    return [answer.status, await answer.json().catch(() => ({}))];
  } catch {
    return [0, { error: "The server cannot be reached." }];
  }
}

function problem(status, value) {
  if (status === 401) return "Reading photos needs the key here: type it into the form below, then choose the photo again.";
  return String(value.error ?? `The server answered ${status}.`);
}

function show(answer, chosen) {
  showResult(answer, current.canvas, chosen, (number) => show(answer, number));
}

const photoIn = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? transfer?.files?.[0];

for (const id of ["file", "camera"]) {
  by(id).addEventListener("change", (event) => { take(event.target.files[0]); event.target.value = ""; });
}
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); by("drop").classList.add("over"); });
}
addEventListener("dragleave", (event) => { if (!event.relatedTarget) by("drop").classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  by("drop").classList.remove("over");
  take(photoIn(event.dataTransfer));
});
addEventListener("paste", (event) => { const file = photoIn(event.clipboardData); if (file) take(file); });
by("country").addEventListener("change", read);
by("here").addEventListener("click", locate);
by("report").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!current) return;
  by("send").disabled = true;
  try {
    await sendReport(REPORT, current.image);
  } catch (error) {
    say("report-status", "bad", error.message);
  } finally {
    by("send").disabled = false;
  }
});
by("dashboard").href = HERE.replace(/[^/]+$/, "dashboard");

