//! The REST API of Call Automation: reads and checks requests, and asks the world.
//!
//! One file per group of operations; [`perform`] is the table of those that are emulated.

mod calls;
mod connect;
mod headers;
mod media;
mod participants;
mod recording;
mod streams;

use serde::de::DeserializeOwned;

use super::audio::is_web_address;
use super::world::{Fate, Meta, Moment, Refusal, Remembered, RepeatKey, Repetition, Reply, World};
use crate::pure::signing::content_hash;
use crate::wire::calling::{Operation, Place};
use crate::wire::identifiers::{
    CallConnectionId, Identifier, OperationContext, PhoneNumber, RawId,
};

/// A request to the API, as far as the API looks at it.
pub struct ApiRequest<'a> {
    /// Which operation.
    pub operation: Operation,
    /// On what.
    pub place: Place,
    /// Path as sent.
    pub path: &'a str,
    /// Query as sent, without the question mark.
    pub query: &'a str,
    /// `Host` as sent.
    pub host: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// `Repeatability-Request-ID`.
    pub repeat_id: Option<&'a str>,
    /// `Repeatability-First-Sent`.
    pub first_sent: Option<&'a str>,
}

/// An answer, and whether it is said that it was given under a repeatability id.
pub struct ApiReply {
    /// The answer.
    pub reply: Reply,
    /// For the `Repeatability-Result` header.
    pub repeatable: bool,
    /// What faults do to it.
    pub manner: Manner,
}

/// How an answer goes out when faults have struck it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// It waits until the world lets go of this.
    pub held: Option<u64>,
    /// It never arrives.
    pub lost: bool,
    /// What `Retry-After` says, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// Answers a request that has been let in.
pub fn answer(world: &mut World, now: Moment, request: &ApiRequest<'_>) -> ApiReply {
    world.pass_time(now);
    let fate = world.strike_request(request.operation, &request.place);
    let written = world.letters();
    let answer = match fate.refusal.clone() {
        Some(refusal) => Err(refusal),
        None => checked(world, request),
    };
    let seen = answer.as_ref().map(|answer| &answer.reply);
    world.trace_request(request.operation, &request.place, seen);
    let manner = manner(world, request, &fate, answer.as_ref().ok(), written);
    match answer {
        Ok(answer) => ApiReply { manner, ..answer },
        Err(refusal) => {
            tracing::warn!(
                operation = request.operation.label(), status = refusal.status,
                code = refusal.code, advice = %refusal.message, "request refused"
            );
            ApiReply { reply: refusal.into(), repeatable: false, manner }
        }
    }
}

fn manner(
    world: &mut World,
    request: &ApiRequest<'_>,
    fate: &Fate,
    answer: Option<&ApiReply>,
    written: u64,
) -> Manner {
    let asked = match &request.place {
        Place::Call(call) | Place::Participant(call, _) => Some(call.as_str()),
        Place::Nowhere | Place::Recording(_) => None,
    };
    let body = answer.and_then(|answer| answer.reply.body.as_ref());
    let made = body.and_then(|body| body["callConnectionId"].as_str());
    // An answer that refuses has no event that could come first.
    let call = asked.or(made).filter(|_| answer.is_some());
    let held = world.hold_answer(fate, call, written);
    Manner { held, lost: fate.lost, retry_after_ms: fate.retry_after_ms }
}

fn checked(world: &mut World, request: &ApiRequest<'_>) -> Result<ApiReply, Refusal> {
    check_version(world, request.query)?;
    let Some(key) = repeat_key(world, request)? else {
        return Ok(ApiReply {
            reply: perform(world, request)?,
            repeatable: false,
            manner: Manner::default(),
        });
    };
    let remembered = Remembered {
        target: format!("{} {}", request.operation.label(), request.path),
        body: content_hash(request.body),
    };
    let reply = match world.repetition(&key, &remembered)? {
        Repetition::Again(reply) => reply,
        Repetition::New => {
            let reply = perform(world, request)?;
            world.remember(key, remembered, &reply);
            reply
        }
    };
    let repeatable = world.config().behaviour.repeatability_result_told;
    Ok(ApiReply { reply, repeatable, manner: Manner::default() })
}

fn perform(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    use Operation as Op;
    match request.operation {
        Op::CreateCall => calls::create(world, request),
        Op::AnswerCall => calls::answer(world, request),
        Op::RedirectCall => calls::redirect(world, request),
        Op::RejectCall => calls::reject(world, request),
        Op::Connect => connect::connect(world, request),
        Op::GetCall => calls::get(world, request),
        Op::HangUpCall => calls::hang_up(world, request),
        Op::TerminateCall => calls::terminate(world, request),
        Op::TransferToParticipant => calls::transfer(world, request),
        Op::GetParticipants => participants::list(world, request),
        Op::GetParticipant => participants::get(world, request),
        Op::AddParticipant => participants::add(world, request),
        Op::RemoveParticipant => participants::remove(world, request),
        Op::MuteParticipants => participants::mute(world, request),
        Op::CancelAddParticipant => participants::cancel_add(world, request),
        Op::MoveParticipants => participants::move_here(world, request),
        Op::Play => media::play(world, request),
        Op::Recognize => media::recognize(world, request),
        Op::CancelAllMediaOperations => media::cancel_all(world, request),
        Op::SendDtmfTones => media::send_tones(world, request),
        Op::StartRecording => recording::start(world, request),
        Op::GetRecordingProperties => recording::get(world, request),
        Op::StopRecording => recording::stop(world, request),
        Op::PauseRecording => recording::pause(world, request),
        Op::ResumeRecording => recording::resume(world, request),
        Op::StartContinuousDtmfRecognition => media::watch_keys(world, request),
        Op::StopContinuousDtmfRecognition => media::stop_watching_keys(world, request),
        Op::Hold => media::hold(world, request),
        Op::Unhold => media::unhold(world, request),
        Op::StartMediaStreaming => streams::start_media(world, request),
        Op::StopMediaStreaming => streams::stop_media(world, request),
        Op::StartTranscription => streams::start_transcription(world, request),
        Op::StopTranscription => streams::stop_transcription(world, request),
        Op::UpdateTranscription => streams::update_transcription(world, request),
    }
}

fn check_version(world: &World, query: &str) -> Result<(), Refusal> {
    let Some(version) = query_value(query, "api-version").filter(|version| !version.is_empty())
    else {
        return Err(Refusal::new(
            400,
            "MissingApiVersionParameter",
            "The query parameter api-version is required.",
        ));
    };
    let known = &world.config().behaviour.api_versions;
    if !known.contains(&version) {
        let known = known.join(", ");
        let message = format!("The api-version is not supported; use one of {known}.");
        return Err(Refusal::new(400, "UnsupportedApiVersionValue", message));
    }
    Ok(())
}

/// A value of the query, decoded.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.replace('+', " ");
        (key == name)
            .then(|| percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned())
    };
    query.split('&').find_map(pair)
}

/// The pair of repeatability headers: both or neither, and only where they mean something.
fn repeat_key(world: &World, request: &ApiRequest<'_>) -> Result<Option<RepeatKey>, Refusal> {
    if !request.operation.repeatable() {
        return Ok(None);
    }
    let bad = |message: &str| Refusal::new(400, "InvalidRepeatabilityHeaders", message);
    match (request.repeat_id, request.first_sent) {
        (None, None) => Ok(None),
        (None, _) | (_, None) if !world.config().behaviour.half_repeatability_refused => Ok(None),
        (Some(id), Some(sent)) => {
            let id = uuid::Uuid::parse_str(id)
                .map_err(|_| bad("Repeatability-Request-ID must be a UUID."))?;
            httpdate::parse_http_date(sent)
                .map_err(|_| bad("Repeatability-First-Sent must be an HTTP date."))?;
            Ok(Some(RepeatKey(id)))
        }
        _ => Err(bad(
            "Repeatability-Request-ID and Repeatability-First-Sent must be given together.",
        )),
    }
}

/// Reads a body.
fn body<T: DeserializeOwned>(request: &ApiRequest<'_>) -> Result<T, Refusal> {
    serde_json::from_slice(request.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = match error.classify() {
            serde_json::error::Category::Data => "holds a member of the wrong type",
            _ => "is not valid JSON",
        };
        Refusal::bad(format!("The request body {what} (line {line}, column {column})."))
    })
}

fn required<T>(value: Option<T>, member: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::missing(member))
}

fn required_text(value: Option<String>, member: &str) -> Result<String, Refusal> {
    value.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::missing(member))
}

fn web_address(world: &World, url: &str, member: &str) -> Result<(), Refusal> {
    if is_web_address(url, world.config().behaviour.https_callbacks_only) {
        return Ok(());
    }
    Err(Refusal::bad(format!("The field {member} is invalid; it must be an absolute URL.")))
}

/// What an operation gave for its own events.
fn meta(
    world: &World,
    context: Option<OperationContext>,
    callback: Option<String>,
) -> Result<Meta, Refusal> {
    if let Some(url) = &callback {
        web_address(world, url, "OperationCallbackUri")?;
    }
    Ok(Meta { context, callback })
}

/// A number within limits, or the default when absent.
fn within(
    value: Option<i64>,
    limits: std::ops::RangeInclusive<i64>,
    member: &str,
) -> Result<Option<u64>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    if limits.contains(&value) {
        return Ok(u64::try_from(value).ok());
    }
    let (least, most) = (limits.start(), limits.end());
    Err(Refusal::bad(format!("The field {member} must be between {least} and {most}.")))
}

fn is_telephone(who: &Identifier) -> bool {
    who.kind() == crate::wire::identifiers::IdentifierKind::PhoneNumber
}

/// E.164 behind the prefix, as far as its form goes.
fn check_target(who: &Identifier, member: &str) -> Result<(), Refusal> {
    if is_telephone(who) {
        return check_number(who.raw_id().number(), member);
    }
    Ok(())
}

/// The caller id for a telephone: it must be there, and a number.
fn check_caller_id(number: Option<&PhoneNumber>, needed: bool) -> Result<(), Refusal> {
    match number {
        Some(number) => check_number(Some(number.value.as_str()), "SourceCallerIdNumber"),
        None if needed => Err(Refusal::missing("SourceCallerIdNumber")),
        None => Ok(()),
    }
}

fn check_number(number: Option<&str>, member: &str) -> Result<(), Refusal> {
    let well_formed = |number: &str| {
        let digits = number.strip_prefix('+').unwrap_or_default();
        (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if number.is_some_and(well_formed) {
        return Ok(());
    }
    Err(Refusal::bad(format!("The field {member} must hold an E.164 phone number.")))
}

/// Whom an operation is for: at least one, and not more than a call can hold.
fn check_participants(
    world: &World,
    who: Option<Vec<Identifier>>,
    member: &str,
) -> Result<Vec<Identifier>, Refusal> {
    let who = required(who.filter(|who| !who.is_empty()), member)?;
    if who.len() >= world.config().limits.participants {
        return Err(Refusal::bad(format!(
            "The field {member} holds more participants than a call can."
        )));
    }
    Ok(who)
}

impl ApiRequest<'_> {
    fn call(&self) -> Result<&CallConnectionId, Refusal> {
        match &self.place {
            Place::Call(call) | Place::Participant(call, _) => Ok(call),
            Place::Nowhere | Place::Recording(_) => Err(Refusal::call_not_found()),
        }
    }

    fn participant(&self) -> Result<&RawId, Refusal> {
        match &self.place {
            Place::Participant(_, who) => Ok(who),
            _ => Err(Refusal::participant_not_found()),
        }
    }
}
