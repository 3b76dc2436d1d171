// The report: the shrunk photo and what its finder knows, then a look until it is stored.
const LOOKS = 30;
const LOOK_EVERY_MS = 1500;

const localTime = (at) => new Date(at - new Date(at).getTimezoneOffset() * 60000).toISOString().slice(0, 19);
const headers = () => (by("key").value ? { "X-HoRT-Key": by("key").value } : {});
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function degrees(id) {
  const text = by(id).value.trim().replace(",", ".");
  return text === "" ? undefined : Number.isFinite(Number(text)) ? Number(text) : text;
}

function reportOf(image) {
  const time = by("time").value;
  return {
    image,
    time: time ? new Date(time).toISOString() : undefined,
    place: { lat: degrees("lat"), lon: degrees("lon"), text: by("place").value },
    company: by("company").value,
    note: by("note").value,
    country: by("country").value,
  };
}

async function told(answer) {
  const value = await answer.json().catch(() => ({}));
  if (answer.ok) return value;
  throw new Error(answer.status === 401 ? "This key is not the one of this installation." : String(value.error ?? `The server answered ${answer.status}.`));
}

async function sendReport(address, image) {
  say("report-status", "work", "Sending …");
  const body = JSON.stringify(reportOf(image));
  const sent = await fetch(address, { method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body });
  const { id } = await told(sent);
  say("report-status", "work", `Taken as ${id}; being read …`);
  for (let look = 0; look < LOOKS; look += 1) {
    await pause(LOOK_EVERY_MS);
    const found = await told(await fetch(`${address}/${encodeURIComponent(id)}`, { headers: headers() }));
    if (found.status === "stored") return say("report-status", "done", stored(id, found.document ?? {}));
  }
  return say("report-status", "none", `Taken as ${id}; it is not stored yet.`);
}

function stored(id, report) {
  const until = report.expires_at ? ` until ${String(report.expires_at).slice(0, 10)}` : "";
  const plate = report.redacted ? "its plate as a keyed digest" : report.plate ? `plate ${report.plate}` : "no readable plate";
  return `Stored as ${id}, ${plate}, kept${until}.`;
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
