"""The official Python SDK, unchanged, against the emulator: one scenario for each operation.

Reads ACS_CONNECTION_STRING and SWITCHHOOK_EMULATOR_URL (the emulator's own routes; taken from the
connection string when absent). Prints one line for each scenario; exits 1 when any of them failed.
"""

import json
import os
import queue
import sys
import threading
import time
import traceback
import urllib.parse
import urllib.request
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

from azure.communication.callautomation import (
    CallAutomationClient,
    CommunicationUserIdentifier,
    DtmfTone,
    FileSource,
    MediaStreamingOptions,
    PhoneNumberIdentifier,
    RecognitionChoice,
    RecognizeInputType,
    TextSource,
    TranscriptionOptions,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.messaging import CloudEvent
from azure.core.pipeline.transport import RequestsTransport
from websockets.sync.server import serve

PHONE = PhoneNumberIdentifier("+14255551212")
OTHER = PhoneNumberIdentifier("+14255551313")
OURS = PhoneNumberIdentifier("+18005551212")
AGENT = CommunicationUserIdentifier("8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_agent")
PATIENCE_SECONDS = 20

PARTS = dict(
    part.split("=", 1) for part in os.environ["ACS_CONNECTION_STRING"].split(";") if part
)
ENDPOINT = PARTS["endpoint"].rstrip("/")
EMULATOR = os.environ.get("SWITCHHOOK_EMULATOR_URL", ENDPOINT).rstrip("/")
SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


def one_second_of_silence():
    file = BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16000)
        audio.writeframes(bytes(32000))
    return file.getvalue()


class Receiver(BaseHTTPRequestHandler):
    """Takes callbacks and Event Grid events, and serves a prompt."""

    callbacks = queue.Queue()
    grid = queue.Queue()
    prompt = one_second_of_silence()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = b""
        if self.path.startswith("/calls"):
            assert self.headers["Authorization"].startswith("Bearer ")
            assert len(body) == 1
            self.callbacks.put(CloudEvent.from_dict(body[0]))
        elif "validationCode" in body[0]["data"]:
            code = body[0]["data"]["validationCode"]
            answer = json.dumps({"validationResponse": code}).encode()
        else:
            self.grid.put(body[0])
        self.answer(200, answer, "application/json")

    def do_GET(self):
        if self.path == "/prompt.wav":
            self.answer(200, self.prompt, "audio/wav")
        else:
            self.answer(404, b"", "text/plain")

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Socket:
    """Takes what the emulator streams."""

    upgrades = queue.Queue()
    frames = queue.Queue()
    answers = queue.Queue()

    @classmethod
    def serve(cls, socket):
        cls.upgrades.put(socket.request.headers)
        for text in socket:
            cls.frames.put(json.loads(text))
            while not cls.answers.empty():
                socket.send(json.dumps(cls.answers.get()))

    @classmethod
    def opened(cls):
        return cls.upgrades.get(timeout=PATIENCE_SECONDS)

    @classmethod
    def frame(cls, kind):
        """The next frame of a kind."""
        while True:
            frame = cls.frames.get(timeout=PATIENCE_SECONDS)
            if frame["kind"] == kind:
                return frame

    @classmethod
    def clear(cls):
        for each in (cls.upgrades, cls.frames, cls.answers):
            each.queue.clear()


SOCKETS = serve(Socket.serve, "127.0.0.1", 0)
SOCKET = f"ws://127.0.0.1:{SOCKETS.socket.getsockname()[1]}/media"
SERVER = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
HERE = f"http://127.0.0.1:{SERVER.server_port}"
PROMPT = FileSource(url=f"{HERE}/prompt.wav")


def client(key=PARTS["accesskey"]):
    return CallAutomationClient(ENDPOINT, AzureKeyCredential(key))


def own(method, path, body=None):
    """One of the emulator's own routes."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{EMULATOR}/emulator/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def far(server_call_id, who, deed, body=None):
    """Somebody at the far end does something."""
    server, raw = (urllib.parse.quote(part, safe="") for part in (server_call_id, who.raw_id))
    own("POST", f"calls/{server}/participants/{raw}:{deed}", body)


def expect(*kinds):
    """Waits for these events in this order; gives the data of the last one."""
    event = None
    for kind in kinds:
        event = Receiver.callbacks.get(timeout=PATIENCE_SECONDS)
        found = event.type.removeprefix("Microsoft.Communication.")
        assert found == kind, f"expected {kind}, found {found} {event.data.get('resultInformation')}"
    return event.data


def heard(kind, also=("ParticipantsUpdated",)):
    """Waits for an event, past those that tell who is in the call; gives its data."""
    while True:
        event = Receiver.callbacks.get(timeout=PATIENCE_SECONDS)
        found = event.type.removeprefix("Microsoft.Communication.")
        if found == kind:
            return event.data
        assert found in also, f"expected {kind}, found {found} {event.data}"


def gathered(*kinds):
    """Waits for these events in any order, past those that tell who is in the call; gives their data."""
    found = {}
    while len(found) < len(kinds):
        event = Receiver.callbacks.get(timeout=PATIENCE_SECONDS)
        kind = event.type.removeprefix("Microsoft.Communication.")
        assert kind == "ParticipantsUpdated" or kind in kinds, f"nobody expected {kind}"
        if kind in kinds:
            found[kind] = event.data
    return found


def until(what, found):
    """Polls until there is something, and gives it."""
    last = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = found()
        if seen:
            return seen
        assert time.monotonic() < last, f"in vain: {what}"


def expect_code(kind, code, sub_code):
    data = expect(kind)
    result = data["resultInformation"]
    assert (result["code"], result["subCode"]) == (code, sub_code), result
    return data


def refused(kind, status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        assert error.status_code == status, error
        return error
    raise AssertionError(f"{call.__name__} was not refused")


def in_call(*others, **options):
    """A connected call that the application placed."""
    targets = [PHONE, *others]
    target = targets if others else PHONE
    made = client().create_call(
        target, f"{HERE}/calls", source_caller_id_number=OURS, operation_context="create", **options
    )
    assert made.call_connection_state == "connecting"
    for who in targets:
        far(made.server_call_id, who, "answer")
    expect("CallConnected", *["ParticipantsUpdated"] * len(targets))
    return client().get_call_connection(made.call_connection_id), made.server_call_id


def end(call):
    call.hang_up(is_for_everyone=True)
    expect("CallDisconnected")


def ring():
    """A call from the far end, as Event Grid tells it."""
    own("POST", "incoming-calls", {"from": "+14255551212", "to": "+18005551212"})
    return Receiver.grid.get(timeout=PATIENCE_SECONDS)["data"]


@scenario
def create_call_and_hang_up():
    call, _ = in_call()
    call.hang_up(is_for_everyone=False)
    data = expect_code("CallDisconnected", 0, 0)
    assert data["operationContext"] == "create"


@scenario
def create_call_to_a_busy_phone():
    made = client().create_call(PHONE, f"{HERE}/calls", source_caller_id_number=OURS)
    far(made.server_call_id, PHONE, "busy")
    expect_code("CreateCallFailed", 486, 560486)
    expect_code("CallDisconnected", 486, 560486)


@scenario
def create_group_call():
    call, _ = in_call(AGENT)
    assert len(list(call.list_participants())) == 2
    end(call)


@scenario
def answer_call():
    incoming = ring()
    answered = client().answer_call(
        incoming["incomingCallContext"], f"{HERE}/calls", operation_context="answer"
    )
    expect("CallConnected", "ParticipantsUpdated")
    assert answered.server_call_id == incoming["serverCallId"]
    assert answered.answered_for.properties["value"] == "+18005551212"
    far(answered.server_call_id, PHONE, "hangup")
    expect_code("CallDisconnected", 0, 560000)
    again = client().answer_call
    refused(ResourceNotFoundError, 404, again, incoming["incomingCallContext"], f"{HERE}/calls")


@scenario
def redirect_call():
    client().redirect_call(ring()["incomingCallContext"], AGENT)
    second = Receiver.grid.get(timeout=PATIENCE_SECONDS)["data"]
    assert second["to"]["rawId"] == AGENT.raw_id
    client().reject_call(second["incomingCallContext"])


@scenario
def reject_call():
    context = ring()["incomingCallContext"]
    client().reject_call(context, call_reject_reason="busy")
    error = refused(ResourceNotFoundError, 404, client().reject_call, context)
    assert error.error.code == "8522"


@scenario
def get_call_properties():
    call, server = in_call()
    properties = call.get_call_properties()
    assert properties.server_call_id == server
    assert properties.call_connection_state == "connected"
    assert properties.targets[0].raw_id == PHONE.raw_id
    end(call)
    refused(ResourceNotFoundError, 404, call.get_call_properties)


@scenario
def terminate_call():
    call, _ = in_call(AGENT)
    call.hang_up(is_for_everyone=True)
    expect_code("CallDisconnected", 0, 4097)


@scenario
def transfer_call_to_participant():
    call, server = in_call()
    result = call.transfer_call_to_participant(AGENT, operation_context="transfer")
    assert result.operation_context == "transfer"
    far(server, AGENT, "answer")
    data = expect("CallTransferAccepted")
    assert data["transferee"]["rawId"] == PHONE.raw_id
    expect_code("CallDisconnected", 0, 7015)


@scenario
def transfer_that_is_declined():
    call, server = in_call()
    call.transfer_call_to_participant(AGENT)
    far(server, AGENT, "decline")
    expect_code("CallTransferFailed", 603, 0)
    assert call.get_call_properties().call_connection_state == "connected"
    end(call)


@scenario
def get_and_list_participants():
    call, _ = in_call(AGENT)
    raw_ids = {one.identifier.raw_id for one in call.list_participants()}
    assert raw_ids == {PHONE.raw_id, AGENT.raw_id}
    found = call.get_participant(PHONE)
    assert found.identifier.raw_id == PHONE.raw_id and not found.is_muted
    stranger = CommunicationUserIdentifier("8:acs:no_body")
    refused(ResourceNotFoundError, 404, call.get_participant, stranger)
    end(call)


@scenario
def add_and_remove_participant():
    call, server = in_call()
    added = call.add_participant(AGENT, operation_context="add", invitation_timeout=20)
    assert added.invitation_id and added.operation_context == "add"
    far(server, AGENT, "answer")
    assert expect("AddParticipantSucceeded")["participant"]["rawId"] == AGENT.raw_id
    expect("ParticipantsUpdated")
    removed = call.remove_participant(AGENT, operation_context="remove")
    assert removed.operation_context == "remove"
    assert expect("RemoveParticipantSucceeded")["operationContext"] == "remove"
    expect("ParticipantsUpdated")
    call.add_participant(AGENT)
    far(server, AGENT, "decline")
    expect_code("AddParticipantFailed", 603, 0)
    refused(HttpResponseError, 400, call.add_participant, AGENT, invitation_timeout=181)
    end(call)


@scenario
def play_media():
    call, _ = in_call()
    call.play_media(PROMPT, play_to=[PHONE], operation_context="one")
    assert expect("PlayStarted")["operationContext"] == "one"
    expect_code("PlayCompleted", 200, 0)
    call.play_media_to_all([PROMPT], operation_context="all")
    expect("PlayStarted", "PlayCompleted")
    call.play_media([FileSource(url=f"{HERE}/missing.wav")])
    assert expect_code("PlayFailed", 400, 8536)["failedPlaySourceIndex"] == 0
    refused(HttpResponseError, 400, call.play_media, TextSource(text="hello"))
    end(call)


@scenario
def play_text_with_a_speech_resource():
    call, _ = in_call(cognitive_services_endpoint="https://speech.example.test")
    call.play_media_to_all(TextSource(text="hello", voice_name="en-US-NancyNeural"))
    expect("PlayStarted", "PlayCompleted")
    end(call)


@scenario
def cancel_all_media_operations():
    call, _ = in_call()
    call.play_media_to_all(PROMPT, loop=True, operation_context="music")
    expect("PlayStarted")
    call.cancel_all_media_operations()
    assert expect_code("PlayCanceled", 400, 8508)["operationContext"] == "music"
    end(call)


@scenario
def recognize_keys():
    call, server = in_call()
    call.start_recognizing_media(
        RecognizeInputType.DTMF,
        PHONE,
        play_prompt=PROMPT,
        interrupt_prompt=True,
        dtmf_max_tones_to_collect=4,
        dtmf_stop_tones=[DtmfTone.POUND],
        operation_context="ask",
    )
    expect("PlayStarted")
    far(server, PHONE, "press", {"tones": "12#"})
    data = expect_code("RecognizeCompleted", 200, 8514)
    assert data["dtmfResult"]["tones"] == ["one", "two"]
    call.start_recognizing_media(RecognizeInputType.DTMF, PHONE, initial_silence_timeout=0)
    expect_code("RecognizeFailed", 400, 8510)
    end(call)


@scenario
def recognize_a_choice():
    call, server = in_call()
    choices = [
        RecognitionChoice(label="Confirm", phrases=["yes"], tone=DtmfTone.ONE),
        RecognitionChoice(label="Cancel", phrases=["no"], tone=DtmfTone.TWO),
    ]
    call.start_recognizing_media(RecognizeInputType.CHOICES, PHONE, choices=choices)
    far(server, PHONE, "say", {"text": "Yes."})
    data = expect_code("RecognizeCompleted", 200, 8545)
    assert data["choiceResult"]["label"] == "Confirm"
    call.start_recognizing_media(RecognizeInputType.CHOICES, PHONE, choices=choices)
    far(server, PHONE, "press", {"tones": ["two"]})
    data = expect_code("RecognizeCompleted", 200, 8533)
    assert data["choiceResult"]["label"] == "Cancel"
    end(call)


@scenario
def recognize_speech():
    call, server = in_call(cognitive_services_endpoint="https://speech.example.test")
    call.start_recognizing_media(RecognizeInputType.SPEECH, PHONE)
    far(server, PHONE, "say", {"text": "change my booking"})
    data = expect_code("RecognizeCompleted", 200, 0)
    assert data["speechResult"]["speech"] == "change my booking"
    end(call)


@scenario
def send_dtmf_tones():
    call, _ = in_call()
    sent = call.send_dtmf_tones([DtmfTone.ONE, "pound"], PHONE, operation_context="keys")
    assert sent.operation_context == "keys"
    expect_code("SendDtmfTonesCompleted", 200, 0)
    refused(HttpResponseError, 400, call.send_dtmf_tones, [DtmfTone.ONE] * 19, PHONE)
    end(call)


@scenario
def connect_call_by_server_call():
    call, server = in_call()
    joined = client().connect_call(f"{HERE}/calls", server_call_id=server, operation_context="join")
    data = heard("CallConnected")
    assert data["operationContext"] == "join" and data["serverCallId"] == server
    assert joined.call_connection_id != call.get_call_properties().call_connection_id
    call.hang_up(is_for_everyone=True)
    heard("CallDisconnected")
    heard("CallDisconnected")


@scenario
def connect_call_to_a_group_and_a_room():
    for place in ({"group_call_id": "c1f6b2b4-1c5e-4b4e-9c6e-3d7a0f5e8a11"}, {"room_id": "99199690362660524"}):
        joined = client().connect_call(f"{HERE}/calls", **place)
        heard("CallConnected")
        client().get_call_connection(joined.call_connection_id).hang_up(is_for_everyone=True)
        heard("CallDisconnected")
    client().connect_call(f"{HERE}/calls", server_call_id="bm9ib2R5", operation_context="nowhere")
    assert expect_code("ConnectFailed", 404, 8522)["operationContext"] == "nowhere"
    expect("CallDisconnected")


@scenario
def move_participants():
    first, _ = in_call()
    made = client().create_call(OTHER, f"{HERE}/calls", source_caller_id_number=OURS)
    far(made.server_call_id, OTHER, "answer")
    heard("CallConnected")
    second = client().get_call_connection(made.call_connection_id)
    moved = first.move_participants([OTHER], made.call_connection_id, operation_context="move")
    assert moved.operation_context == "move"
    # The other call has nobody left and ends, before or after.
    data = gathered("MoveParticipantSucceeded", "CallDisconnected")["MoveParticipantSucceeded"]
    assert data["participant"]["rawId"] == OTHER.raw_id and data["operationContext"] == "move"
    raw_ids = {one.identifier.raw_id for one in first.list_participants()}
    assert raw_ids == {PHONE.raw_id, OTHER.raw_id}
    refused(ResourceNotFoundError, 404, second.get_call_properties)
    first.hang_up(is_for_everyone=True)
    heard("CallDisconnected")


@scenario
def mute_participant():
    call, _ = in_call(AGENT)
    muted = call.mute_participant(AGENT, operation_context="mute")
    assert muted.operation_context == "mute"
    data = expect("ParticipantsUpdated")
    found = {one["identifier"]["rawId"]: one["isMuted"] for one in data["participants"]}
    assert found == {AGENT.raw_id: True, PHONE.raw_id: False}
    assert call.get_participant(AGENT).is_muted
    refused(HttpResponseError, 400, call.mute_participant, PHONE)
    end(call)


@scenario
def cancel_add_participant():
    call, _ = in_call()
    added = call.add_participant(AGENT, operation_context="add")
    canceled = call.cancel_add_participant_operation(added.invitation_id, operation_context="cancel")
    assert canceled.operation_context == "cancel"
    data = heard("CancelAddParticipantSucceeded", ("AddParticipantFailed",))
    assert data["invitationId"] == added.invitation_id and data["operationContext"] == "cancel"
    assert len(list(call.list_participants())) == 1
    end(call)


@scenario
def hold_and_unhold():
    call, _ = in_call()
    call.hold(PHONE, play_source=PROMPT, operation_context="hold")
    until("the hold", lambda: call.get_participant(PHONE).is_on_hold)
    call.unhold(PHONE, operation_context="unhold")
    until("the end of it", lambda: not call.get_participant(PHONE).is_on_hold)
    call.hang_up(is_for_everyone=True)
    heard("CallDisconnected")


@scenario
def continuous_dtmf_recognition():
    call, server = in_call()
    call.start_continuous_dtmf_recognition(PHONE, operation_context="keys")
    far(server, PHONE, "press", {"tones": "5#"})
    first, second = (expect("ContinuousDtmfRecognitionToneReceived") for _ in range(2))
    assert (first["tone"], second["tone"]) == ("five", "pound")
    assert second["sequenceId"] == first["sequenceId"] + 1
    assert first["operationContext"] == "keys"
    call.stop_continuous_dtmf_recognition(PHONE, operation_context="enough")
    assert expect("ContinuousDtmfRecognitionStopped")["operationContext"] == "enough"
    far(server, PHONE, "press", {"tones": "1"})
    end(call)


def media_streaming(**more):
    return MediaStreamingOptions(
        transport_url=SOCKET,
        transport_type="websocket",
        content_type="audio",
        audio_channel_type="unmixed",
        audio_format="pcm16KMono",
        **more,
    )


@scenario
def media_streaming_start_and_stop():
    call, server = in_call(media_streaming=media_streaming(start_media_streaming=False, enable_dtmf_tones=True))
    call.start_media_streaming(operation_context="listen")
    headers = Socket.opened()
    assert headers["Authorization"].startswith("Bearer ")
    assert headers["x-ms-call-connection-id"] == call._call_connection_id
    data = heard("MediaStreamingStarted")
    assert data["operationContext"] == "listen"
    assert data["mediaStreamingUpdate"]["mediaStreamingStatus"] == "mediaStreamingStarted"
    assert Socket.frame("AudioMetadata")["audioMetadata"]["sampleRate"] == 16000
    assert Socket.frame("AudioData")["audioData"]["data"]
    far(server, PHONE, "press", {"tones": "7"})
    assert Socket.frame("DtmfData")
    call.stop_media_streaming(operation_context="enough")
    assert heard("MediaStreamingStopped")["operationContext"] == "enough"
    call.hang_up(is_for_everyone=True)
    heard("CallDisconnected")


@scenario
def media_streaming_from_the_start():
    call = streaming_call()
    assert Socket.frame("AudioData")
    call.hang_up(is_for_everyone=True)
    heard("CallDisconnected")


def streaming_call():
    options = media_streaming(start_media_streaming=True, enable_bidirectional=True)
    made = client().create_call(
        PHONE, f"{HERE}/calls", source_caller_id_number=OURS, media_streaming=options
    )
    far(made.server_call_id, PHONE, "answer")
    Socket.opened()
    gathered("CallConnected", "MediaStreamingStarted")
    return client().get_call_connection(made.call_connection_id)


@scenario
def transcription():
    options = TranscriptionOptions(
        transport_url=SOCKET, transport_type="websocket", locale="en-US", start_transcription=False
    )
    call, server = in_call(transcription=options)
    call.start_transcription(locale="en-US", operation_context="write")
    Socket.opened()
    data = heard("TranscriptionStarted")
    assert data["operationContext"] == "write"
    assert Socket.frame("TranscriptionMetadata")["transcriptionMetadata"]["locale"] == "en-US"
    far(server, PHONE, "say", {"text": "good morning"})
    assert Socket.frame("TranscriptionData")["transcriptionData"]["text"] == "good morning"
    call.update_transcription(locale="de-DE", operation_context="other")
    assert heard("TranscriptionUpdated")["operationContext"] == "other"
    call.stop_transcription(operation_context="enough")
    assert heard("TranscriptionStopped")["operationContext"] == "enough"
    call.hang_up(is_for_everyone=True)
    heard("CallDisconnected")


class ToTheEmulator(RequestsTransport):
    """The SDK fetches recordings from Azure's own hosts only; this is what those names mean here."""

    def send(self, request, **kwargs):
        parts = urllib.parse.urlsplit(request.url)
        if parts.hostname.endswith(".asm.skype.com"):
            request.headers["Host"] = parts.netloc
            request.url = f"{EMULATOR}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return super().send(request, **kwargs)


def fetch_and_delete_the_file():
    key = AzureKeyCredential(PARTS["accesskey"])
    us = CallAutomationClient(ENDPOINT, key, transport=ToTheEmulator())
    told = "Microsoft.Communication.RecordingFileStatusUpdated"
    while (event := Receiver.grid.get(timeout=PATIENCE_SECONDS))["eventType"] != told:
        pass
    (chunk,) = event["data"]["recordingStorageInfo"]["recordingChunks"]
    whole = b"".join(us.download_recording(chunk["contentLocation"]).iter_bytes())
    with wave.open(BytesIO(whole)) as audio:
        assert (audio.getnchannels(), audio.getsampwidth()) == (1, 2)
    part = b"".join(us.download_recording(chunk["contentLocation"], offset=4, length=8).iter_bytes())
    assert part == whole[4:12], part
    metadata = b"".join(us.download_recording(chunk["metadataLocation"]).iter_bytes())
    assert json.loads(metadata)["chunkDocumentId"] == chunk["documentId"]
    us.delete_recording(chunk["deleteLocation"])
    refused(HttpResponseError, 404, us.download_recording, chunk["contentLocation"])


@scenario
def record_a_call():
    call, server = in_call()
    us = client()
    recording = us.start_recording(
        server_call_id=server,
        recording_state_callback_url=f"{HERE}/calls",
        recording_content_type="audio",
        recording_channel_type="mixed",
        recording_format_type="wav",
    )
    data = heard("RecordingStateChanged")
    assert data["state"] == "active" and data["recordingId"] == recording.recording_id
    us.pause_recording(recording.recording_id)
    assert heard("RecordingStateChanged")["state"] == "inactive"
    us.resume_recording(recording.recording_id)
    assert heard("RecordingStateChanged")["state"] == "active"
    assert us.get_recording_properties(recording.recording_id).recording_state == "active"
    us.stop_recording(recording.recording_id)
    assert heard("RecordingStateChanged")["state"] == "inactive"
    refused(ResourceNotFoundError, 404, us.get_recording_properties, "bm9uZQ==")
    if ENDPOINT == EMULATOR:
        fetch_and_delete_the_file()
    end(call)


@scenario
def a_wrong_key_is_refused():
    create = client("b3RoZXIta2V5").create_call
    refused(
        ClientAuthenticationError, 401, create, PHONE, f"{HERE}/calls", source_caller_id_number=OURS
    )


def subscribe():
    path = "eventgrid/subscriptions/sdk-scenarios"
    own("PUT", path, {"endpoint": f"{HERE}/grid"})
    until = time.monotonic() + PATIENCE_SECONDS
    while own("GET", path)["provisioningState"] != "Succeeded":
        assert time.monotonic() < until, "the event grid handshake did not succeed"


def main():
    for server in (SERVER, SOCKETS):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    own("POST", "reset")
    subscribe()
    failed = 0
    for run in SCENARIOS:
        try:
            run()
            late = [event.type for event in Receiver.callbacks.queue]
            assert all(kind.endswith("ParticipantsUpdated") for kind in late), f"nobody expected {late}"
            print(f"ok      python      {run.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  python      {run.__name__}", flush=True)
            traceback.print_exc()
            own("POST", "reset")
        Receiver.callbacks.queue.clear()
        Receiver.grid.queue.clear()
        Socket.clear()
    own("DELETE", "eventgrid/subscriptions/sdk-scenarios")
    return 1 if failed else 0


sys.exit(main())
