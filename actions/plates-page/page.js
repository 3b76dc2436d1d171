// A photo's way through the page: chosen, made ready, sent, shown. A newer photo ends whatever is under way, and nothing of the one before stays.
const HERE = location.pathname.replace(/\/+$/, "").replace(/\.html$/, "");
const REPORT = HERE.replace(/[^/]+$/, "report");
const HINT = by("report-status").textContent;

let current = null;   // the photo at hand: {canvas, blob, image}
let turn = 0;         // counts photos and retries; an answer to an older one is dropped
let reporting = null; // the photo that a report is being sent of

async function take(file) {
  if (!file) return;
  const mine = (turn += 1);
  forget();
  say("status", "work", "Making the photo ready …");
  try {
    const photo = await prepared(file);
    if (mine !== turn) return;
    current = photo;
    arm();
    if (file.lastModified) by("time").value = localTime(file.lastModified);
    by("invite").hidden = true;
    by("drop").classList.add("full");
    drawPhoto(by("photo"), photo.canvas, [], 0);
    await read();
  } catch (error) {
    if (mine === turn) say("status", "bad", error.message);
  }
}

// Nothing of an earlier photo stays: not to be seen, not to be sent.
function forget() {
  current = reporting = null;
  arm();
  for (const id of ["result", "photo"]) by(id).hidden = true;
  for (const id of ["photo", "crop"]) by(id).width = by(id).height = 0;
  for (const id of ["plate", "cost", "sure"]) by(id).textContent = "";
  by("photo").setAttribute("aria-label", "No photo yet");
  by("plates").replaceChildren();
  by("candidates").tBodies[0].replaceChildren();
  by("time").value = "";
  by("invite").hidden = false;
  by("drop").classList.remove("full");
  say("report-status", "idle", HINT);
}

function arm() {
  by("send").disabled = !current || reporting === current;
}

async function read() {
  if (!current) return;
  const mine = (turn += 1);
  const photo = current;
  by("result").hidden = true;
  say("status", "work", `Reading ${Math.round(photo.blob.size / 1000)} kB …`);
  const answer = await ask("status", () => mine === turn, `${HERE}/read`, { image: photo.image, country: by("country").value, n: 8 });
  if (!answer) return;
  const [status, value] = answer;
  if (status === 200) show(value, 0);
  else say("status", "bad", problem(status, value));
}

async function send() {
  const photo = current;
  if (!photo || reporting === photo) return;
  reporting = photo;
  arm();
  try {
    await sendReport(REPORT, photo, () => current === photo);
  } finally {
    if (reporting === photo) reporting = null;
    arm();
  }
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
by("report").addEventListener("submit", (event) => { event.preventDefault(); send(); });
by("dashboard").href = HERE.replace(/[^/]+$/, "dashboard");

