"""A small IVR with the official SDK: somebody calls, hears a question, presses a key, hears the answer.

    switchhook dev --phones examples/phones.toml      # in one terminal
    pip install azure-communication-callautomation    # in another
    python examples/python/ivr.py
"""

import os

from azure.communication.callautomation import (
    CallAutomationClient,
    DtmfTone,
    PhoneNumberIdentifier,
    RecognizeInputType,
    TextSource,
)
from azure.core.credentials import AzureKeyCredential
from switchhook import Switchhook, new_context

# What `switchhook dev` listens on. In production: your private listener and `gateway.access_key`.
URL = os.environ.get("SWITCHHOOK_URL", "http://127.0.0.1:8081")
KEY = os.environ.get("SWITCHHOOK_KEY", "c3dpdGNoaG9vay1kZXZlbG9wbWVudC1rZXktMDAwMDE=")
EMULATOR = os.environ.get("SWITCHHOOK_EMULATOR_URL", "http://127.0.0.1:8082")

hook = Switchhook(URL, os.environ.get("SWITCHHOOK_TOKEN"))
# `from_connection_string` would insist on https, whatever the connection string says.
client = CallAutomationClient(URL, AzureKeyCredential(KEY))


def say(text):
    return TextSource(text=text, voice_name="en-US-NancyNeural")


def serve(call_id):
    """One call, from top to bottom."""
    call = client.get_call_connection(call_id)
    (caller,) = [
        participant.identifier
        for participant in call.list_participants()
        if isinstance(participant.identifier, PhoneNumberIdentifier)
    ]
    context = new_context()
    call.start_recognizing_media(
        RecognizeInputType.DTMF,
        caller,
        dtmf_max_tones_to_collect=1,
        play_prompt=say("Press one for opening hours, two for an agent."),
        operation_context=context,
    )
    heard = hook.outcome(call_id, context, seconds=60)
    answer = "Please call again."
    if heard["status"] == "succeeded":
        tones = heard["event"]["data"]["dtmfResult"]["tones"]
        print("the caller pressed", " ".join(tones))
        answer = "All agents are busy."
        if tones == [DtmfTone.ONE]:
            answer = "We are open from nine to five."
    context = new_context()
    call.play_media(say(answer), operation_context=context)
    print("the answer was played:", hook.outcome(call_id, context)["status"])
    call.hang_up(is_for_everyone=True)
    hook.wait(call_id, ["CallDisconnected"])
    print("the call has ended")


def main():
    # Switchhook answers this number; the plan can be changed while it runs.
    number = "+18005550100"
    action = {"type": "answer", "cognitiveServicesEndpoint": "https://speech.example.com"}
    hook.ask("PUT", f"/v1/numbers/{number}", {"steps": [{"action": action}]})
    connected = hook.events(["CallConnected"])
    # With the emulator we are the caller, too.
    ringing = Switchhook(EMULATOR)
    ringing.ask("POST", "/emulator/incoming-calls", {"from": "+14255550001", "to": number})
    # A real one serves every call on a thread of its own, and never stops.
    told = next(connected)
    print("connected")
    serve(told["callConnectionId"])


if __name__ == "__main__":
    main()
