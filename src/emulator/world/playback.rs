//! Prompts: fetching them, how long they last, and what happens when one cannot be played.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::events::News;
use super::media::{OpTicket, Work};
use super::outcomes::{self, Outcome as Why};
use super::{Effect, Job, Outcome, World};
use crate::emulator::audio;
use crate::pure::time::Tick;
use crate::wire::events::EventKind;

/// One thing to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An audio file.
    File {
        /// Where it is.
        url: String,
        /// Under which id it is remembered.
        cache_id: Option<String>,
    },
    /// A text or an SSML document, by its number of characters.
    Spoken {
        /// Characters to say.
        characters: usize,
    },
}

/// Prompts that are played one after the other.
pub struct Playback {
    sources: Vec<Source>,
    /// How long each lasts, or why it cannot be played; `None` while it is fetched.
    lengths: Vec<Option<Result<Duration, Why>>>,
    looped: bool,
}

/// For which source of which operation something is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTicket {
    op: OpTicket,
    index: usize,
}

/// Prompts that were fetched under a cache id.
#[derive(Default)]
pub(super) struct PromptCache(BTreeMap<String, (Tick, Duration)>);

/// What playing all sources comes to.
struct Total {
    length: Duration,
    failure: Option<(usize, Why)>,
}

impl Playback {
    pub fn new(sources: Vec<Source>, looped: bool) -> Self {
        let lengths = vec![None; sources.len()];
        Self { sources, lengths, looped }
    }

    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Time until the end, or until the first source that cannot be played.
    fn total(&self) -> Total {
        let mut length = Duration::ZERO;
        for (index, known) in self.lengths.iter().enumerate() {
            match known {
                Some(Ok(time)) => length += *time,
                Some(Err(why)) => return Total { length, failure: Some((index, why.clone())) },
                None => {}
            }
        }
        Total { length, failure: None }
    }
}

impl World {
    /// Finds out how long the prompts of an operation last; it goes on when all are known.
    pub(super) fn load_prompts(&mut self, ticket: &OpTicket) {
        let sources = self.playback(ticket).map(|playback| playback.sources.clone());
        let mut known = Vec::new();
        for (index, source) in sources.unwrap_or_default().into_iter().enumerate() {
            known.push(match source {
                Source::Spoken { characters: 0 } => Some(Err(outcomes::EMPTY_TEXT)),
                Source::Spoken { characters } => {
                    let characters = u32::try_from(characters).unwrap_or(u32::MAX);
                    let each = self.config.behaviour.speech_per_character;
                    Some(Ok(each.saturating_mul(characters)))
                }
                Source::File { url, cache_id } => self.file_length(ticket, index, url, cache_id),
            });
        }
        if let Some(playback) = self.playback(ticket) {
            playback.lengths = known;
        }
        self.go_on_when_loaded(ticket);
    }

    fn file_length(
        &mut self,
        op: &OpTicket,
        index: usize,
        url: String,
        cache_id: Option<String>,
    ) -> Option<Result<Duration, Why>> {
        let cached = cache_id.and_then(|id| self.prompts.0.get(&id));
        if let Some((until, length)) = cached
            && self.now.tick < *until
        {
            return Some(Ok(*length));
        }
        if !self.config.behaviour.fetch_from_any_host && !audio::is_on_this_machine(&url) {
            return Some(Ok(self.config.behaviour.nominal_prompt));
        }
        let deadline = self.config.behaviour.fetch_deadline;
        self.send(Job::Prompt(FetchTicket { op: op.clone(), index }), |job| Effect {
            job,
            method: "GET",
            url,
            headers: Vec::new(),
            body: String::new(),
            signed: false,
            flaw: Default::default(),
            deadline,
        });
        None
    }

    pub(super) fn prompt_fetched(&mut self, ticket: &FetchTicket, outcome: &Outcome) {
        let nominal = self.config.behaviour.nominal_prompt;
        let strict = self.config.behaviour.strict_wav;
        let length = match outcome {
            Outcome::Answered { status: 200, body, length, .. } => {
                audio::length_of(body, *length, strict)
                    .map(|length| length.unwrap_or(nominal))
                    .map_err(|_| outcomes::WRONG_FORMAT)
            }
            _ => Err(outcomes::NOT_FETCHED),
        };
        let keep = self.now.tick + self.config.behaviour.prompt_cache;
        let limit = self.config.limits.cached_prompts;
        let Some(playback) = self.playback(&ticket.op) else { return };
        let Some(place) = playback.lengths.get_mut(ticket.index) else { return };
        *place = Some(length.clone());
        if let Some(Source::File { cache_id: Some(id), .. }) = playback.sources.get(ticket.index)
            && let Ok(length) = length
        {
            let id = id.clone();
            if self.prompts.0.len() >= limit {
                self.prompts.0.clear();
            }
            self.prompts.0.insert(id, (keep, length));
        }
        self.go_on_when_loaded(&ticket.op);
    }

    fn playback(&mut self, ticket: &OpTicket) -> Option<&mut Playback> {
        match &mut self.op(ticket)?.work {
            Work::Play(playback) | Work::Hold(playback) => Some(playback),
            Work::Recognize(listening) => Some(&mut listening.prompt),
            Work::SendTones(_) => None,
        }
    }

    fn go_on_when_loaded(&mut self, ticket: &OpTicket) {
        let Some(playback) = self.playback(ticket) else { return };
        if playback.lengths.iter().any(Option::is_none) {
            return;
        }
        if playback.is_empty() {
            return self.prompt_ended(ticket);
        }
        if let Total { failure: Some((0, why)), .. } = playback.total() {
            return self.prompt_broke(ticket, 0, &why);
        }
        self.tell_started(ticket);
        self.prompt_began(ticket);
        self.wait_for_end(ticket);
    }

    fn wait_for_end(&mut self, ticket: &OpTicket) {
        let length = self.playback(ticket).map(|playback| playback.total().length);
        // A looped prompt without length must not keep the world from going on.
        let length = length.unwrap_or_default().max(Duration::from_millis(1));
        self.set_media_timer(ticket, length);
    }

    /// All sources of a play were played, or one could not be.
    pub(super) fn play_ended(&mut self, ticket: &OpTicket) {
        let Some(playback) = self.playback(ticket) else { return };
        let looped = playback.looped;
        match playback.total().failure {
            Some((index, why)) => self.prompt_broke(ticket, index, &why),
            None if looped => self.wait_for_end(ticket),
            None => self.end_op(ticket, News::of(EventKind::PlayCompleted, outcomes::DONE)),
        }
    }

    /// The prompt of a recognition ended. Tells whether it broke, which ends the recognition.
    pub(super) fn prompt_is_broken(&mut self, ticket: &OpTicket) -> bool {
        let failure = self.playback(ticket).and_then(|playback| playback.total().failure);
        if let Some((index, why)) = &failure {
            self.prompt_broke(ticket, *index, why);
        }
        failure.is_some()
    }

    fn prompt_broke(&mut self, ticket: &OpTicket, index: usize, why: &Why) {
        let Some(op) = self.op(ticket) else { return };
        let news = match op.work {
            Work::Recognize(_) => News::of(EventKind::RecognizeFailed, outcomes::PROMPT_FAILED),
            Work::Hold(_) => return self.hold_failed(ticket, why),
            _ => News::of(EventKind::PlayFailed, why.clone()),
        };
        self.end_op(ticket, news.with(json!({ "failedPlaySourceIndex": index })));
    }
}
