//! What single values cannot tell: settings that contradict each other or lack their counterpart.

use super::reader::Reader;
use super::{Purpose, Settings};
use crate::pure::signing::{AccessKey, ConnectionString};

/// Tells every contradiction.
pub(super) fn across(settings: &Settings, purpose: Purpose, reader: &mut Reader<'_>) {
    times(settings, reader);
    doors(settings, reader);
    if !settings.azure.connection_string.is_empty()
        && let Err(fault) = ConnectionString::parse(settings.azure.connection_string.expose())
    {
        reader.wrong("azure.connection_string", fault.to_string());
    }
    if let Err(fault) = AccessKey::from_base64(settings.emulator.access_key.expose()) {
        reader.wrong("emulator.access_key", fault.to_string());
    }
    if !settings.gateway.access_key.is_empty()
        && let Err(fault) = AccessKey::from_base64(settings.gateway.access_key.expose())
    {
        reader.wrong("gateway.access_key", fault.to_string());
    }
    let forward = &settings.forward;
    if forward.first_pause > forward.longest_pause {
        reader.wrong("forward.first_pause_ms", "is more than forward.longest_pause_ms");
    }
    if settings.emulator.tls && settings.emulator.tls_folder.is_none() {
        reader
            .wrong("emulator.tls_folder", "is empty; name a folder for the certificate authority");
    }
    if settings.emulator.manual_clock && settings.emulator.speed > 1 {
        reader.wrong("emulator.speed", "does not go with manual_clock: a held clock has no speed");
    }
    if purpose == Purpose::Serve {
        serving(settings, reader);
    }
}

fn times(settings: &Settings, reader: &mut Reader<'_>) {
    let calls = &settings.calls;
    let (wait, most) = (calls.wait_timeout.as_millis(), calls.max_wait.as_millis());
    let backlog = calls.backlog.as_millis();
    if wait > most {
        reader.wrong(
            "calls.wait_timeout_ms",
            format!("is {wait}, more than calls.max_wait_ms allows ({most}); change one of them"),
        );
    }
    if backlog > wait {
        reader.wrong(
            "calls.backlog_ms",
            format!(
                "is {backlog} and outlives calls.wait_timeout_ms ({wait}): \
                 nobody would be left to read it; lower it"
            ),
        );
    }
}

fn doors(settings: &Settings, reader: &mut Reader<'_>) {
    let (public, private) = (settings.public.listen, settings.private.listen);
    if public.port() == private.port() && public.port() != 0 {
        reader.wrong("private.listen", "has the port of public.listen; give it another one");
    }
    match (&settings.private.tls_cert_file, &settings.private.tls_key_file) {
        (Some(_), None) => {
            reader
                .wrong("private.tls_key_file", "is missing; name the key of private.tls_cert_file");
        }
        (None, Some(_)) => reader.wrong(
            "private.tls_cert_file",
            "is missing; name the certificate of private.tls_key_file",
        ),
        _ => {}
    }
    if !private.ip().is_loopback() && settings.private.tokens.is_empty() {
        reader.wrong(
            "private.listen",
            "is reachable from other machines; add [[private.tokens]], or listen on 127.0.0.1",
        );
    }
    if settings.public.base_url.matches('/').count() > 2 {
        reader.wrong("public.base_url", "must not have a path; callbacks go to /webhooks/calls");
    }
    let level = &settings.log.level;
    if level.is_empty() || tracing_subscriber::EnvFilter::try_new(level).is_err() {
        reader.wrong("log.level", "must be error, warn, info, debug, trace, or directives");
    }
}

/// What only a service that talks to Azure needs.
fn serving(settings: &Settings, reader: &mut Reader<'_>) {
    if settings.azure.connection_string.is_empty() {
        reader.wrong(
            "azure.connection_string",
            "is missing; copy it from the portal (Keys), or try `switchhook dev`, which needs none",
        );
    }
    if settings.public.base_url.is_empty() {
        reader.wrong(
            "public.base_url",
            "is missing; say the https URL at which Azure reaches public.listen",
        );
    }
    if settings.event_grid.require_key && settings.event_grid.key.is_empty() {
        reader.wrong(
            "event_grid.key",
            "is missing; choose one and add it to the subscription's URL as ?key=…",
        );
    }
    let callbacks = &settings.callbacks;
    if callbacks.require_key && callbacks.key.is_empty() {
        reader.wrong("callbacks.key", "is missing; choose any long random text");
    }
    if !callbacks.require_jwt {
        return;
    }
    if callbacks.audience.is_empty() {
        reader.wrong(
            "callbacks.audience",
            "is missing; say the immutable resource id (a GUID) of the resource",
        );
    }
    if callbacks.issuer.is_empty() {
        reader.wrong("callbacks.issuer", "is empty; remove the line to get Azure's");
    }
    if callbacks.openid_url.is_empty() {
        reader.wrong("callbacks.openid_url", "is empty; remove the line to get Azure's");
    }
}

/// What is allowed and still worth a loud word at every start.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: &str| warnings.push(text.to_owned());
    if !settings.event_grid.require_key {
        warn("event_grid.require_key is false: anybody who finds the URL can make phones ring");
    }
    if !settings.callbacks.require_key {
        warn("callbacks.require_key is false: callbacks are accepted without our secret");
    }
    if !settings.callbacks.require_jwt {
        warn("callbacks.require_jwt is false: callbacks are accepted without azure's signature");
    }
    if !settings.callbacks.require_key && !settings.callbacks.require_jwt {
        warn("nothing proves who sends callbacks: anybody can end or steer a call");
    }
    warnings
}
