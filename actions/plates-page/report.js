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

async function sendReport(address, image, wanted) {
  const line = "report-status";
  say(line, "work", "Sending …");
  const sent = await ask(line, wanted, address, reportOf(image));
  if (!sent) return;
  const [status, taken] = sent;
  if (status !== 202) { say(line, "bad", problem(status, taken)); return; }
  const { id } = taken;
  let every = FIRST_LOOK_MS;
  for (let look = 0; look < LOOKS; look += 1) {
    say(line, "work", `Taken as ${id}; being read …`);
    await pause(every);
    every = Math.min(LAST_LOOK_MS, every * SLOWER);
    const found = wanted() && (await ask(line, wanted, `${address}/${encodeURIComponent(id)}`));
    if (!found) return;
    if (found[0] !== 200) { say(line, "bad", problem(...found)); return; }
    if (found[1].status === "failed") { say(line, "bad", `Taken as ${id}, but not read: ${found[1].reason ?? ""} Send it again.`); return; }
    if (found[1].status === "stored") { say(line, "done", stored(id, found[1].document ?? {})); return; }
  }
  say(line, "none", `Taken as ${id}; it is not stored yet.`);
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
