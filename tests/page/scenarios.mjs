// The emulator's page in a real Chromium, used as a person would: mostly by keyboard. The application
// behind it is the official JavaScript SDK.
//
// Reads ACS_CONNECTION_STRING, SWITCHHOOK_EMULATOR_URL and CHROMIUM (the browser's program). With
// SCREENSHOTS, a folder, it leaves a picture of the page at the end of each scenario there.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { CallAutomationClient, parseCallAutomationEvent } from "@azure/communication-call-automation";
import puppeteer from "puppeteer-core";

const CONNECTION = process.env.ACS_CONNECTION_STRING;
const EMULATOR = process.env.SWITCHHOOK_EMULATOR_URL.replace(/\/+$/, "");
const OURS = "+18005551212";
const PATIENCE_MS = 20_000;

/** Polls until there is something, or that time is over. */
async function until(what, found) {
  const began = Date.now();
  for (;;) {
    const seen = await found();
    if (seen) return seen;
    assert.ok(Date.now() - began < PATIENCE_MS, `in vain: ${what}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}

const events = [];
const rings = [];
const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = Buffer.concat(parts).toString();
  if (request.url.startsWith("/calls")) {
    events.push(parseCallAutomationEvent(text));
    response.end();
    return;
  }
  const [event] = JSON.parse(text);
  const code = event.data.validationCode;
  if (!code) rings.push(event.data);
  response.setHeader("Content-Type", "application/json");
  response.end(code ? JSON.stringify({ validationResponse: code }) : "");
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const HERE = `http://127.0.0.1:${server.address().port}`;
const client = new CallAutomationClient(CONNECTION, { allowInsecureConnection: true });
const heard = (kind) => until(kind, () => events.find((event) => event.kind === kind));

async function subscribe() {
  const at = `${EMULATOR}/emulator/eventgrid/subscriptions/page`;
  const body = JSON.stringify({ endpoint: `${HERE}/grid`, schema: "eventGrid" });
  const made = await fetch(at, { method: "PUT", headers: { "Content-Type": "application/json" }, body });
  assert.equal(made.status, 201);
  await until("the handshake", async () => (await (await fetch(at)).json()).provisioningState === "Succeeded");
}

const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const context = browser.defaultBrowserContext();
await context.overridePermissions(EMULATOR, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
const page = await browser.newPage();
await page.setViewport({ width: 1300, height: 900 });
const complaints = [];
page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
page.on("pageerror", (error) => complaints.push(error.message));
page.on("request", (request) => {
  const url = request.url();
  if (!url.startsWith(EMULATOR) && !url.startsWith("data:")) complaints.push(`asked elsewhere: ${url}`);
});

const text = (selector) => page.$eval(selector, (found) => found.textContent);
const says = (selector, what) => until(`${selector}: ${what}`, async () => (await text(selector)).includes(what));
const lines = () => page.$$eval("#trace li:not([hidden])", (found) => found.map((line) => line.textContent));
const traced = (what) => until(`a line with ${what}`, async () => (await lines()).find((line) => line.includes(what)));

async function press(keys) {
  for (const key of keys) await page.keyboard.press(key);
}

/** Nothing goes on, and the page has seen it. */
async function quiet() {
  await fetch(`${EMULATOR}/emulator/reset`, { method: "POST" });
  await fetch(`${EMULATOR}/emulator/faults`, { method: "PUT", body: '{"rules":[]}', headers: { "Content-Type": "application/json" } });
  events.length = 0;
  rings.length = 0;
  await page.goto(EMULATOR);
  await until("the connection string", () => page.$eval("#connection", (field) => field.value));
  await until("no call", () => page.$eval("#no-calls", (line) => !line.hidden));
}

/** Rings by keyboard; the application answers. Gives the connection. */
async function answered() {
  await press(["r"]);
  await page.keyboard.type(OURS);
  await press(["Enter"]);
  const ring = await until("a ring", () => rings[0]);
  const answer = await client.answerCall(ring.incomingCallContext, `${HERE}/calls`);
  await heard("CallConnected");
  await says("#calls", "connected");
  return answer.callConnection;
}

async function the_connection_string_can_be_copied() {
  assert.equal(await page.$eval("#connection", (field) => field.value), CONNECTION);
  await page.click("#copy");
  await says("#said", "copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), CONNECTION);
}

async function keys_are_pressed_by_keyboard() {
  const call = await answered();
  const from = { phoneNumber: "+14255551212" };
  await call.getCallMedia().startRecognizing(from, { kind: "callMediaRecognizeDtmfOptions", maxTonesToCollect: 4, initialSilenceTimeoutInSeconds: 60, interToneTimeoutInSeconds: 20 });
  await says("#calls", "recognize");
  await page.evaluate(() => document.activeElement.blur());
  await press(["j", "1", "2", "*", "#"]);
  const done = await heard("RecognizeCompleted");
  assert.deepEqual(done.dtmfResult.tones, ["one", "two", "asterisk", "pound"]);
}

async function a_line_shows_what_was_posted() {
  const call = await answered();
  await traced("CallConnected");
  await press(["Escape"]);
  await page.evaluate(() => document.activeElement.blur());
  await press(["/"]);
  await page.keyboard.type("CallConnected");
  await until("only such lines", async () => (await lines()).every((line) => line.includes("CallConnected")));
  await page.focus("#trace");
  await press(["End", "Enter"]);
  await says("#trace", call.callConnectionId ?? "callConnectionId");
  await says("#trace pre", "Microsoft.Communication.CallConnected");
}

async function a_phrase_is_said_and_the_phone_hangs_up() {
  await answered();
  await page.type(".phone input", "what is written stays while the page moves on");
  await page.waitForFunction(() => document.activeElement.value.endsWith("moves on"));
  await press(["Enter"]);
  await says("#said", "say");
  await press(["Escape", "h"]);
  await heard("CallDisconnected");
  await until("no call", () => page.$eval("#no-calls", (line) => !line.hidden));
}

async function a_fault_is_set_and_removed() {
  await page.click("#faults summary");
  await page.select("#fault select[name=fault]", "drop");
  await page.type("#fault input[name=only]", "CallConnected");
  await page.click("#fault button:not([type])");
  await says("#fault-count", "1 set");
  await press(["Escape"]);
  await page.evaluate(() => document.activeElement.blur());
  await press(["r"]);
  await page.keyboard.type(OURS);
  await press(["Enter"]);
  const ring = await until("a ring", () => rings[0]);
  await client.answerCall(ring.incomingCallContext, `${HERE}/calls`);
  await heard("ParticipantsUpdated");
  await traced("drop");
  assert.ok(!events.some((event) => event.kind === "CallConnected"), "it was to be dropped");
  await page.click("#no-faults");
  await until("no faults", async () => (await text("#fault-count")) === "");
}

async function what_is_refused_is_told() {
  await press(["r"]);
  await page.keyboard.type("nobody");
  await press(["Enter"]);
  await says("#said", "must be a phone number");
  // The browser complains of every answer that is a refusal; this one was wanted.
  complaints.splice(0, complaints.length, ...complaints.filter((line) => !line.includes("400")));
}

async function another_origin_may_not_ask() {
  const asked = await fetch(`${EMULATOR}/emulator/calls`, { headers: { Origin: "http://elsewhere.example" } });
  assert.equal(asked.status, 403);
}

const scenarios = [
  the_connection_string_can_be_copied,
  keys_are_pressed_by_keyboard,
  a_line_shows_what_was_posted,
  a_phrase_is_said_and_the_phone_hangs_up,
  a_fault_is_set_and_removed,
  what_is_refused_is_told,
  another_origin_may_not_ask,
];

let failed = 0;
await subscribe();
for (const scenario of scenarios) {
  try {
    await quiet();
    complaints.length = 0;
    await scenario();
    assert.deepEqual(complaints, [], "the browser complained");
    console.log(`ok      ${scenario.name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${scenario.name}: ${error.message}`);
  }
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${scenario.name}.png` });
}
await browser.close();
server.close();
server.closeAllConnections();
process.exitCode = failed ? 1 : 0;
