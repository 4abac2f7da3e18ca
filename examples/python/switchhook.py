"""Waiting for what happens in calls, with the standard library alone. Copy this file into your project.

    hook = Switchhook("http://127.0.0.1:8081")
    call.start_recognizing_media(..., operation_context=(context := new_context()))
    outcome = hook.outcome(call_connection_id, context)
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

# Proxies end requests that are silent for a minute or so. Asking again loses nothing.
POLL_SECONDS = 25


class Problem(Exception):
    """What Switchhook answers when it cannot do what was asked; `code` never changes."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body.get('code')}: {body.get('detail') or body.get('title')}")
        self.status, self.code, self.body = status, body.get("code"), body


class TimedOut(Exception):
    """It did not happen in time."""


def new_context():
    """An operationContext that no other request has."""
    return str(uuid.uuid4())


class Switchhook:
    def __init__(self, url="http://127.0.0.1:8081", token=None):
        self.url, self.token = url.rstrip("/"), token

    def outcome(self, call, context, seconds=240):
        """How a request through the gateway ended: an object with `status` and, mostly, `event`."""
        path = f"/v1/calls/{quote(call)}/operations/{quote(context)}"
        for left_ms in polls(seconds):
            found = self.ask("GET", f"{path}?waitMs={left_ms}")
            if found["status"] != "pending":
                return found
        raise TimedOut(found["diagnosis"]["advice"])

    def wait(self, call, types, seconds=240, after=None):
        """The next event of these types: an object with `event` and the `cursor` to go on from."""
        for left_ms in polls(seconds):
            wanted = {"types": types, "timeoutMs": left_ms, "after": after}
            try:
                return self.ask("POST", f"/v1/calls/{quote(call)}/waits", wanted)
            except Problem as problem:
                if problem.code != "wait_timed_out":
                    raise
        raise TimedOut(f"none of {types} came")

    def events(self, types=(), after=None):
        """The events of all calls from now on, or from after a cursor, one by one, without an end."""
        query = urllib.parse.urlencode({"types": ",".join(types), "after": after or ""})
        request = self.request("GET", f"/v1/events?{query}", accept="text/event-stream")
        stream = urllib.request.urlopen(request)
        return self._read(stream)

    @staticmethod
    def _read(stream):
        with stream:
            for line in stream:
                if line.startswith(b"data: "):
                    told = json.loads(line[6:])
                    if "event" in told:
                        yield told

    def ask(self, method, path, body=None):
        """Any other route; the answer's JSON."""
        try:
            with urllib.request.urlopen(self.request(method, path, body)) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Problem(error.code, json.loads(error.read() or b"{}")) from None

    def request(self, method, path, body=None, accept="application/json"):
        headers = {"Accept": accept, "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = None if body is None else json.dumps(body).encode()
        return urllib.request.Request(self.url + path, body, headers, method=method)


def quote(text):
    return urllib.parse.quote(text, safe="")


def polls(seconds):
    """How long to ask each time, in milliseconds, until the time is over. At least once."""
    until = time.monotonic() + seconds
    left = seconds
    while True:
        yield round(1000 * max(0, min(left, POLL_SECONDS)))
        left = until - time.monotonic()
        if left <= 0:
            return
