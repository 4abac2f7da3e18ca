#!/usr/bin/env bash
# A small IVR with nothing but curl: somebody calls, hears a question, presses a key, hears the answer.
#
#   switchhook dev --phones examples/phones.toml      # in one terminal
#   examples/curl/ivr.sh                              # in another

set -euo pipefail

# What `switchhook dev` listens on. Any token will do there; in production, one of `private.tokens`.
url=${SWITCHHOOK_URL:-http://127.0.0.1:8081}
emulator=${SWITCHHOOK_EMULATOR_URL:-http://127.0.0.1:8082}
token=${SWITCHHOOK_TOKEN:-local}
number=+18005550100
caller=+14255550001

ask() {
    local method=$1 to=$2 body=$3
    shift 3
    curl --fail-with-body --silent --show-error --request "$method" "$to" \
        --header "authorization: Bearer $token" --header 'content-type: application/json' \
        --data "$body" "$@"
}

# operation CALL ACTION BODY: asks the call service, and waits for the outcome.
operation() {
    ask POST "$url/calling/callConnections/$1:$2?api-version=2026-03-12" "$3" --header 'prefer: wait=60'
}

# member NAME: the first text of that name in an answer.
member() {
    sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"
}

say() {
    printf '{"kind": "text", "text": {"text": "%s", "voiceName": "en-US-NancyNeural"}}' "$1"
}

# Switchhook answers this number; the plan can be changed while it runs.
ask PUT "$url/v1/numbers/$number" '{"steps": [{"action":
    {"type": "answer", "cognitiveServicesEndpoint": "https://speech.example.com"}}]}' >/dev/null

# With the emulator we are the caller, too. Any id of a call leads to it, here the correlation id.
ringing=$(ask POST "$emulator/emulator/incoming-calls" "{\"from\": \"$caller\", \"to\": \"$number\"}")
correlation=$(member correlationId <<<"$ringing")
until found=$(curl --fail --silent --header "authorization: Bearer $token" "$url/admin/calls/$correlation"); do
    sleep 0.2
done
call=$(grep -o '"callConnectionId":"[^"]*"' <<<"$found" | head -n 1 | member callConnectionId)
# The backlog still has what came before we asked.
ask POST "$url/v1/calls/$call/waits" '{"types": ["CallConnected"], "timeoutMs": 30000}' >/dev/null
echo connected

question=$(say 'Press one for opening hours, two for an agent.')
heard=$(operation "$call" recognize '{"recognizeInputType": "dtmf", "playPrompt": '"$question"',
    "recognizeOptions": {"targetParticipant": {"phoneNumber": {"value": "'"$caller"'"}},
                         "dtmfOptions": {"maxTonesToCollect": 1}}}')
answer='Please call again.'
if grep -q '"status":"succeeded"' <<<"$heard"; then
    echo "the caller pressed $(sed 's/.*"tones":\["\([^"]*\)".*/\1/' <<<"$heard")"
    answer='We are open from nine to five.'
fi
played=$(operation "$call" play "{\"playSources\": [$(say "$answer")]}")
echo "the answer was played: $(member status <<<"$played")"
operation "$call" terminate '' >/dev/null
echo 'the call has ended'
