// The report: the photo and what its finder knows, then a look now and then until it is stored, or is known to have failed.
const LOOKS = 25;
const FIRST_LOOK_MS = 1500;
const SLOWER = 1.3;
const LAST_LOOK_MS = 15000;

const localTime = (at) => new Date(at - new Date(at).getTimezoneOffset() * 60000).toISOString().slice(0, 19);

function degrees(id) {
  const text = by(id).value.trim().replace(",", ".");
  return text === "" ? undefined : Number.isFinite(Number(text)) ? Number(text) : text;
}

// A photo's report. It has an id, so that the same words sent again, as after a lost answer, are the same report.
function reportOf(photo) {
  const time = Date.parse(by("time").value);
  const words = {
    time: Number.isNaN(time) ? undefined : new Date(time).toISOString(),
    place: { lat: degrees("lat"), lon: degrees("lon"), text: by("place").value },
    company: by("company").value,
    note: by("note").value,
    country: by("country").value,
  };
  const said = JSON.stringify(words);
  if (photo.said !== said) Object.assign(photo, { said, id: newId() });
  return { id: photo.id, image: photo.image, ...words };
}

function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sendReport(address, photo, wanted) {
  const line = "report-status";
  say(line, "work", "Sending …");
  const sent = await ask(line, wanted, address, reportOf(photo));
  if (!sent) return;
  const [status, taken] = sent;
  if (status !== 202) { say(line, "bad", problem(status, taken)); return; }
  const { id } = taken;
  let every = FIRST_LOOK_MS;
  let news = "being read …";
  for (let look = 0; look < LOOKS; look += 1) {
    say(line, "work", `Taken as ${id}; ${news}`);
    await pause(every);
    every = Math.min(LAST_LOOK_MS, every * SLOWER);
    const found = wanted() && (await ask(line, wanted, `${address}/${encodeURIComponent(id)}`));
    if (!found) return;
    const [answered, report] = found;
    if (answered === 0 || answered >= 500) { news = `${problem(...found)} Looking again …`; continue; }
    if (answered !== 200) { say(line, "bad", `Taken as ${id}. ${problem(...found)}`); return; }
    if (report.status === "failed") { say(line, "bad", `Taken as ${id}, but not read: ${report.reason ?? ""} Send it again.`); return; }
    if (report.status === "stored") { say(line, "done", stored(id, report.document ?? {})); return; }
    news = "being read …";
  }
  say(line, "none", `Taken as ${id}; it is not stored yet.`);
}

function stored(id, report) {
  const until = report.expires_at ? ` until ${String(report.expires_at).slice(0, 10)}` : "";
  return `Stored as ${id}, ${whatWasRead(report)}, kept${until}.`;
}

function whatWasRead({ plate, redacted, status, refused }) {
  if (plate) return redacted ? "its plate as a keyed digest" : `plate ${plate}`;
  return status === "refused" && refused?.reason ? `no readable plate (${refused.reason})` : "no readable plate";
}

function locate() {
  if (!navigator.geolocation) return say("report-status", "bad", "This browser does not know where it is.");
  return navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      by("lat").value = coords.latitude.toFixed(6);
      by("lon").value = coords.longitude.toFixed(6);
    },
    () => say("report-status", "bad", "The place was not given; type it instead."),
    { timeout: 10000, maximumAge: 60000 },
  );
}
