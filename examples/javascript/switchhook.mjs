// Waiting for what happens in calls, without any package. Copy this file into your project.
//
//   const hook = new Switchhook("http://127.0.0.1:8081");
//   await media.startRecognizing(caller, { ...options, operationContext: context });
//   const outcome = await hook.outcome(callConnectionId, context);

// Proxies end requests that are silent for a minute or so. Asking again loses nothing.
const POLL_MS = 25_000;

/** What Switchhook answers when it cannot do what was asked; `code` never changes. */
export class Problem extends Error {
  constructor(status, body) {
    super(`${status} ${body?.code}: ${body?.detail ?? body?.title}`);
    Object.assign(this, { status, code: body?.code, body });
  }
}

/** It did not happen in time. */
export class TimedOut extends Error {}

export class Switchhook {
  constructor(url = "http://127.0.0.1:8081", token = undefined) {
    this.url = url.replace(/\/+$/, "");
    this.token = token;
  }

  /** How a request through the gateway ended: an object with `status` and, mostly, `event`. */
  async outcome(call, context, ms = 240_000) {
    const path = `/v1/calls/${encodeURIComponent(call)}/operations/${encodeURIComponent(context)}`;
    let found;
    for (const left of polls(ms)) {
      found = await this.ask("GET", `${path}?waitMs=${left}`);
      if (found.status !== "pending") return found;
    }
    throw new TimedOut(found.diagnosis.advice);
  }

  /** The next event of these types: an object with `event` and the `cursor` to go on from. */
  async wait(call, types, { ms = 240_000, after } = {}) {
    for (const left of polls(ms)) {
      try {
        const wanted = { types, after, timeoutMs: left };
        return await this.ask("POST", `/v1/calls/${encodeURIComponent(call)}/waits`, wanted);
      } catch (problem) {
        if (problem.code !== "wait_timed_out") throw problem;
      }
    }
    throw new TimedOut(`none of ${types} came`);
  }

  /** The events of all calls from now on, or from after a cursor, one by one, without an end. */
  async events(types = [], after = "") {
    const query = new URLSearchParams({ types: types.join(","), after });
    const answer = await this.send("GET", `/v1/events?${query}`, undefined, "text/event-stream");
    return frames(answer.body.pipeThrough(new TextDecoderStream()));
  }

  /** Any other route; the answer's JSON. */
  async ask(method, path, body) {
    const text = await (await this.send(method, path, body)).text();
    return text ? JSON.parse(text) : null;
  }

  async send(method, path, body, accept = "application/json") {
    const headers = { accept, "content-type": "application/json" };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => null));
    return answer;
  }
}

async function* frames(texts) {
  let kept = "";
  for await (const text of texts) {
    const lines = (kept + text).split("\n");
    kept = lines.pop();
    for (const line of lines) {
      const told = line.startsWith("data: ") && JSON.parse(line.slice(6));
      if (told?.event) yield told;
    }
  }
}

/** How long to ask each time until the time is over. At least once. */
function* polls(ms) {
  const until = performance.now() + ms;
  let left = ms;
  do {
    yield Math.round(Math.max(0, Math.min(left, POLL_MS)));
    left = until - performance.now();
  } while (left > 0);
}
