// Asking the server. What it puts off is asked again when it says so, with a countdown in a status line.
const MOST_WAITS = 90;
const TOO_MANY = 429;

const headers = () => (by("key").value ? { "X-HoRT-Key": by("key").value } : {});
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// [status, value] of an answer; null as soon as nobody wants it any more.
async function ask(line, wanted, address, body) {
  for (let waits = 0; waits < MOST_WAITS; waits += 1) {
    const [status, value] = await asked(address, body);
    if (!wanted()) return null;
    const wait = waitOf(status, value);
    if (!wait) return [status, value];
    for (let left = wait; left > 0; left -= 1) {
      say(line, "wait", `${value.error || `The server answered ${status}.`} Next try in ${left} s.`);
      await pause(1000);
      if (!wanted()) return null;
    }
  }
  return [0, { error: "The server put it off too often." }];
}

async function asked(address, body) {
  const sent = body ? { method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body) } : { headers: headers() };
  try {
    const answer = await fetch(address, sent);
    return [answer.status, await answer.json().catch(() => ({}))];
  } catch {
    return [0, { error: "The server cannot be reached." }];
  }
}

// Seconds to wait, as the answer says; until the next minute where OpenWhisk's own is used up; 0 for an answer that stands.
function waitOf(status, value) {
  if (value.retry_after_s > 0) return Math.ceil(value.retry_after_s);
  return status === TOO_MANY ? 60 - new Date().getSeconds() : 0;
}

function problem(status, value) {
  if (status !== 401) return String(value.error ?? `The server answered ${status}.`);
  return by("key").value ? "This key is not the one of this installation." : "This needs the key of this installation: type it into the form below, then try again.";
}
