// A small IVR with the official SDK: somebody calls, hears a question, presses a key, hears the answer.
//
//   switchhook dev --phones examples/phones.toml              # in one terminal
//   npm install @azure/communication-call-automation          # in another
//   node examples/javascript/ivr.mjs

import { randomUUID } from "node:crypto";
import { CallAutomationClient } from "@azure/communication-call-automation";
import { Switchhook } from "./switchhook.mjs";

// What `switchhook dev` listens on. In production: your private listener and `gateway.access_key`.
const URL = process.env.SWITCHHOOK_URL ?? "http://127.0.0.1:8081";
const CONNECTION =
  process.env.ACS_CONNECTION_STRING ??
  `endpoint=${URL}/;accesskey=c3dpdGNoaG9vay1kZXZlbG9wbWVudC1rZXktMDAwMDE=`;
const EMULATOR = process.env.SWITCHHOOK_EMULATOR_URL ?? "http://127.0.0.1:8082";

const hook = new Switchhook(URL, process.env.SWITCHHOOK_TOKEN);
// Plain http is for this machine only.
const client = new CallAutomationClient(CONNECTION, { allowInsecureConnection: true });

const say = (text) => ({ kind: "textSource", text, voiceName: "en-US-NancyNeural" });

/** One call, from top to bottom. */
async function serve(callId) {
  const call = client.getCallConnection(callId);
  const media = call.getCallMedia();
  const { values } = await call.listParticipants();
  const caller = values.map(({ identifier }) => identifier).find((who) => who?.phoneNumber);

  let operationContext = randomUUID();
  await media.startRecognizing(caller, {
    kind: "callMediaRecognizeDtmfOptions",
    maxTonesToCollect: 1,
    playPrompt: say("Press one for opening hours, two for an agent."),
    operationContext,
  });
  const heard = await hook.outcome(callId, operationContext, 60_000);
  let answer = "Please call again.";
  if (heard.status === "succeeded") {
    const { tones } = heard.event.data.dtmfResult;
    console.log("the caller pressed", ...tones);
    answer = tones[0] === "one" ? "We are open from nine to five." : "All agents are busy.";
  }
  operationContext = randomUUID();
  await media.playToAll([say(answer)], { operationContext });
  const { status } = await hook.outcome(callId, operationContext);
  console.log("the answer was played:", status);
  await call.hangUp(true);
  await hook.wait(callId, ["CallDisconnected"]);
  console.log("the call has ended");
}

// Switchhook answers this number; the plan can be changed while it runs.
const number = "+18005550100";
const action = { type: "answer", cognitiveServicesEndpoint: "https://speech.example.com" };
await hook.ask("PUT", `/v1/numbers/${number}`, { steps: [{ action }] });
const connected = await hook.events(["CallConnected"]);
// With the emulator we are the caller, too.
const ringing = new Switchhook(EMULATOR);
await ringing.ask("POST", "/emulator/incoming-calls", { from: "+14255550001", to: number });
// A real one serves every call at once, and never stops.
for await (const { callConnectionId } of connected) {
  console.log("connected");
  await serve(callConnectionId);
  break;
}
