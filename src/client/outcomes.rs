//! How operations end: one enum for each, which must be matched.

use std::fmt;
use std::sync::Arc;

use super::error::codes_of;
use crate::pure::call::{Cause, Ending};
use crate::pure::codes::Codes;
use crate::pure::operations::Verdict;
use crate::wire::events::{CallEvent, Detail, EventKind};
use crate::wire::identifiers::Identifier;

/// Something that an event, and sometimes the call's own end, brings about.
///
/// ```
/// # use switchhook::client::Ends;
/// # use switchhook::wire::events::{CallEvent, EventKind};
/// # use std::sync::Arc;
/// /// Just what kind of event it was.
/// struct Kind(EventKind);
///
/// impl Ends for Kind {
///     fn with(event: &Arc<CallEvent>) -> Self {
///         Self(event.kind.clone())
///     }
/// }
/// ```
pub trait Ends: Send + 'static {
    /// Reads the event. It is one of those that were waited for.
    fn with(event: &Arc<CallEvent>) -> Self;

    /// Whether the call's end is an end of the operation too, and not a disturbance.
    fn with_call(_: &Ending) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// The event itself, for waits that are put up by hand.
impl Ends for Arc<CallEvent> {
    fn with(event: &Arc<CallEvent>) -> Self {
        Self::clone(event)
    }
}

/// The end of a call.
impl Ends for Ending {
    fn with(event: &Arc<CallEvent>) -> Self {
        let (code, sub_code) = event.codes();
        Self { cause: Cause::Disconnected, code, sub_code }
    }

    fn with_call(ending: &Self) -> Option<Self> {
        Some(ending.clone())
    }
}

fn codes(event: &CallEvent) -> Codes {
    let (code, sub_code) = event.codes();
    Codes { code, sub_code }
}

/// How placing or answering a call ended.
///
/// ```no_run
/// # use switchhook::client::ConnectOutcome;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.connected().await? {
///     ConnectOutcome::Connected => println!("somebody is there"),
///     ConnectOutcome::Failed(codes) => println!("not set up: {codes}"),
///     ConnectOutcome::Ended(codes) => println!("busy, declined or away: {codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectOutcome {
    /// The call is up.
    Connected,
    /// It could not be set up.
    Failed(Codes),
    /// It ended before it was up: busy, declined, nobody there.
    Ended(Codes),
}

impl Ends for ConnectOutcome {
    fn with(event: &Arc<CallEvent>) -> Self {
        match event.kind {
            EventKind::CallConnected => Self::Connected,
            _ => Self::Failed(codes(event)),
        }
    }

    fn with_call(ending: &Ending) -> Option<Self> {
        Some(Self::Ended(codes_of(ending)))
    }
}

/// How a play ended.
///
/// ```no_run
/// # use switchhook::client::{PlayOutcome, Prompt};
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.play(Prompt::say("Good morning.")).await?.outcome().await? {
///     PlayOutcome::Completed => println!("heard to its end"),
///     PlayOutcome::Canceled => println!("cut off"),
///     PlayOutcome::Failed { codes, failed_source } => println!("{codes}, source {failed_source:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayOutcome {
    /// Played to its end.
    Completed,
    /// Could not be played.
    Failed {
        /// Why.
        codes: Codes,
        /// Which source broke, from 0.
        failed_source: Option<i64>,
    },
    /// Cut off by a cancel request or another operation.
    Canceled,
}

impl Ends for PlayOutcome {
    fn with(event: &Arc<CallEvent>) -> Self {
        match event.kind {
            EventKind::PlayCompleted => Self::Completed,
            EventKind::PlayCanceled => Self::Canceled,
            _ => Self::Failed { codes: codes(event), failed_source: failed_source(event) },
        }
    }
}

fn failed_source(event: &CallEvent) -> Option<i64> {
    match event.detail {
        // Azure writes -1 when no source is at fault.
        Detail::FailedSource(index) => index.filter(|index| *index >= 0),
        _ => None,
    }
}

/// Keys that somebody pressed. Theirs, so they do not show in `Debug`.
///
/// ```no_run
/// # use switchhook::client::{Listen, RecognizeOutcome};
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let listen = Listen::for_keys(Identifier::phone("+14255550123"), 4);
/// if let RecognizeOutcome::Dtmf(tones) = call.recognize(listen).await?.outcome().await? {
///     println!("{} keys, first {:?}", tones.digits().len(), tones.words().first());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tones(Vec<String>);

impl Tones {
    pub(super) fn one(word: &str) -> Self {
        Self(vec![word.to_owned()])
    }

    /// The keys as Azure spells them: `zero`…`nine`, `a`…`d`, `pound`, `asterisk`.
    ///
    /// ```
    /// # use switchhook::client::Tones;
    /// assert!(Tones::default().words().is_empty());
    /// ```
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The keys as they stand on a telephone: `0`…`9`, `A`…`D`, `#`, `*`; `?` for any other.
    ///
    /// ```
    /// # use switchhook::client::Tones;
    /// assert_eq!(Tones::default().digits(), "", "nothing was pressed");
    /// ```
    pub fn digits(&self) -> String {
        self.0.iter().map(|word| key(word)).collect()
    }
}

fn key(word: &str) -> char {
    match word.to_ascii_lowercase().as_str() {
        "zero" => '0',
        "one" => '1',
        "two" => '2',
        "three" => '3',
        "four" => '4',
        "five" => '5',
        "six" => '6',
        "seven" => '7',
        "eight" => '8',
        "nine" => '9',
        "a" => 'A',
        "b" => 'B',
        "c" => 'C',
        "d" => 'D',
        "pound" => '#',
        "asterisk" => '*',
        _ => '?',
    }
}

impl fmt::Debug for Tones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tones", self.0.len())
    }
}

/// How listening to somebody ended. What was said or keyed in does not show in `Debug`.
///
/// ```no_run
/// # use switchhook::client::{Listen, RecognizeOutcome};
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let listen = Listen::for_keys(Identifier::phone("+14255550123"), 1);
/// match call.recognize(listen).await?.outcome().await? {
///     RecognizeOutcome::Dtmf(tones) if tones.digits() == "1" => println!("sales"),
///     RecognizeOutcome::Dtmf(_) => println!("wrong key"),
///     RecognizeOutcome::Choice { label, .. } => println!("chose {label}"),
///     RecognizeOutcome::Speech(_) => println!("said something"),
///     RecognizeOutcome::Failed { codes, .. } => println!("silence, or worse: {codes}"),
///     RecognizeOutcome::Canceled => println!("cut off"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, PartialEq)]
pub enum RecognizeOutcome {
    /// Keys.
    Dtmf(Tones),
    /// One of the choices offered.
    Choice {
        /// Its label.
        label: String,
        /// The phrase that was heard; `None` when a key chose.
        phrase: Option<String>,
    },
    /// Words.
    Speech(String),
    /// Nothing useful was heard, or the prompt broke.
    Failed {
        /// Why; 8510 for silence.
        codes: Codes,
        /// Which source of the prompt broke, from 0.
        failed_source: Option<i64>,
    },
    /// Cut off by a cancel request or another operation.
    Canceled,
}

impl fmt::Debug for RecognizeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dtmf(tones) => write!(f, "Dtmf({tones:?})"),
            Self::Choice { .. } => f.write_str("Choice(…)"),
            Self::Speech(_) => f.write_str("Speech(…)"),
            Self::Failed { codes, failed_source } => {
                write!(f, "Failed({codes}, source {failed_source:?})")
            }
            Self::Canceled => f.write_str("Canceled"),
        }
    }
}

impl Ends for RecognizeOutcome {
    fn with(event: &Arc<CallEvent>) -> Self {
        let failed = || Self::Failed { codes: codes(event), failed_source: failed_source(event) };
        match (&event.kind, &event.detail) {
            (EventKind::RecognizeCanceled, _) => Self::Canceled,
            (EventKind::RecognizeCompleted, Detail::Recognition(heard)) => {
                if let Some(speech) = heard.speech_result.as_ref().and_then(|s| s.speech.clone()) {
                    return Self::Speech(speech);
                }
                if let Some(choice) = &heard.choice_result
                    && let Some(label) = choice.label.clone()
                {
                    return Self::Choice { label, phrase: choice.recognized_phrase.clone() };
                }
                match &heard.dtmf_result {
                    Some(keys) => Self::Dtmf(Tones(keys.tones.clone())),
                    None => failed(),
                }
            }
            _ => failed(),
        }
    }
}

/// How a transfer ended.
///
/// ```no_run
/// # use switchhook::client::TransferOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.transfer(Identifier::phone("+14255550123")).await?.outcome().await? {
///     TransferOutcome::Accepted { .. } => println!("they talk to each other"),
///     TransferOutcome::Failed(codes) => println!("still with us: {codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum TransferOutcome {
    /// The transferee talks to the target. In a call of two, this leg now ends.
    Accepted {
        /// Who was transferred.
        transferee: Option<Identifier>,
        /// To whom.
        target: Option<Identifier>,
    },
    /// Not done; the call should go on.
    Failed(Codes),
}

impl Ends for TransferOutcome {
    fn with(event: &Arc<CallEvent>) -> Self {
        match (&event.kind, &event.detail) {
            (EventKind::CallTransferAccepted, Detail::Transfer { target, transferee }) => {
                Self::Accepted { transferee: transferee.clone(), target: target.clone() }
            }
            (EventKind::CallTransferAccepted, _) => {
                Self::Accepted { transferee: None, target: None }
            }
            _ => Self::Failed(codes(event)),
        }
    }
}

/// How inviting somebody ended.
///
/// ```no_run
/// # use switchhook::client::AddOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.add_participant(Identifier::phone("+14255550123")).await?.outcome().await? {
///     AddOutcome::Joined => println!("three of us now"),
///     AddOutcome::Failed(codes) => println!("did not come: {codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddOutcome {
    /// The participant is in the call.
    Joined,
    /// Error, decline, or nobody there.
    Failed(Codes),
}

/// How removing somebody ended.
///
/// ```no_run
/// # use switchhook::client::RemoveOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.remove_participant(Identifier::phone("+14255550123")).await?.outcome().await? {
///     RemoveOutcome::Removed => println!("gone"),
///     RemoveOutcome::Failed(codes) => println!("still there: {codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveOutcome {
    /// The participant is out of the call.
    Removed,
    /// The participant could not be removed.
    Failed(Codes),
}

/// How sending keys ended.
///
/// ```no_run
/// # use switchhook::client::SendDtmfOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let sent = call.send_dtmf(Identifier::phone("+14255550123"), ["one", "pound"]).await?;
/// assert_eq!(sent.outcome().await?, SendDtmfOutcome::Sent);
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendDtmfOutcome {
    /// All keys were sent.
    Sent,
    /// They were not.
    Failed(Codes),
}

/// How withdrawing an invitation ended.
///
/// ```no_run
/// # use switchhook::client::CancelAddOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let invited = call.add_participant(Identifier::phone("+14255550123")).await?;
/// match invited.cancel().await?.outcome().await? {
///     CancelAddOutcome::Withdrawn => println!("it rings no more"),
///     CancelAddOutcome::Failed(codes) => println!("too late: {codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAddOutcome {
    /// It rings no more.
    Withdrawn,
    /// Too late, or there is none such.
    Failed(Codes),
}

/// How putting somebody on hold, or taking somebody off it, ended.
///
/// ```no_run
/// # use switchhook::client::HoldOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.hold(Identifier::phone("+14255550123"), None).await?.await? {
///     HoldOutcome::Done => println!("hears nothing"),
///     HoldOutcome::Failed(codes) => println!("hears everything: {codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldOutcome {
    /// No failure was heard of.
    Done,
    /// It was not done.
    Failed(Codes),
}

impl Ends for HoldOutcome {
    fn with(event: &Arc<CallEvent>) -> Self {
        Self::Failed(codes(event))
    }
}

/// How starting, changing or stopping a stream or a transcription ended.
///
/// ```no_run
/// # use switchhook::client::StreamOutcome;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.start_transcription(Some("en-US".to_owned())).await?.outcome().await? {
///     StreamOutcome::Done => println!("every word is written down"),
///     StreamOutcome::Failed(codes) => println!("{codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOutcome {
    /// As asked.
    Done,
    /// Not so.
    Failed(Codes),
}

impl Ends for StreamOutcome {
    fn with(event: &Arc<CallEvent>) -> Self {
        match Verdict::of(&event.kind) {
            Verdict::Succeeded => Self::Done,
            Verdict::Failed | Verdict::Canceled => Self::Failed(codes(event)),
        }
    }
}

/// Keys are heard no more.
///
/// ```no_run
/// # use switchhook::client::StopKeysOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let StopKeysOutcome =
///     call.stop_keys_of(Identifier::phone("+14255550123")).await?.outcome().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopKeysOutcome;

impl Ends for StopKeysOutcome {
    fn with(_: &Arc<CallEvent>) -> Self {
        Self
    }

    fn with_call(_: &Ending) -> Option<Self> {
        Some(Self)
    }
}

/// What a recording does.
///
/// ```no_run
/// # use switchhook::client::RecordingOutcome;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.recorder("an-id").pause().await?.outcome().await? {
///     RecordingOutcome::Inactive => println!("say your card number now"),
///     RecordingOutcome::Active => println!("still recording"),
///     RecordingOutcome::Failed(codes) => println!("{codes}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingOutcome {
    /// It records.
    Active,
    /// It does not: paused, or over.
    Inactive,
    /// It could not be begun.
    Failed(Codes),
}

impl Ends for RecordingOutcome {
    fn with(event: &Arc<CallEvent>) -> Self {
        match (&event.kind, &event.detail) {
            (EventKind::StartRecordingFailed, _) => Self::Failed(codes(event)),
            (_, Detail::Recording { state: Some(state), .. })
                if state.eq_ignore_ascii_case("active") =>
            {
                Self::Active
            }
            _ => Self::Inactive,
        }
    }
}

/// Operations that either work or fail.
macro_rules! works_or_fails {
    ($($outcome:ident: $event:ident => $success:ident;)*) => {
        $(impl Ends for $outcome {
            fn with(event: &Arc<CallEvent>) -> Self {
                match event.kind {
                    EventKind::$event => Self::$success,
                    _ => Self::Failed(codes(event)),
                }
            }
        })*
    };
}

works_or_fails! {
    AddOutcome: AddParticipantSucceeded => Joined;
    CancelAddOutcome: CancelAddParticipantSucceeded => Withdrawn;
    RemoveOutcome: RemoveParticipantSucceeded => Removed;
    SendDtmfOutcome: SendDtmfTonesCompleted => Sent;
}
