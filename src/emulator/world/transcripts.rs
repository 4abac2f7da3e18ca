//! The words of a transcription: what phones say, word by word while they speak when asked for, and
//! whole when they have spoken.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};

use super::events::News;
use super::frames::{self, Spoken};
use super::media_stream::is_audible;
use super::outcomes;
use super::roster::ConversationId;
use super::streams::{Feed, Line, SocketId, TranscriptionWish};
use super::{Due, Meta, Refusal, World};
use crate::emulator::pcm::Tone;
use crate::pure::time::Tick;
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, RawId};

/// Ticks of 100 ns in a millisecond.
const TICKS_PER_MS: u64 = 10_000;

/// A leg's transcription.
pub struct Transcript {
    pub line: Line,
    pub wish: TranscriptionWish,
    utterances: VecDeque<Utterance>,
    count: u64,
    results: u64,
}

/// What somebody says, until the final result is told.
struct Utterance {
    number: u64,
    who: RawId,
    text: String,
    words: Vec<Word>,
    from: Tick,
    length: Duration,
    /// How many results it has, the final one included.
    steps: usize,
}

/// A word of it: where it stands in the text, and when it is said after the beginning.
struct Word {
    place: Range<usize>,
    begins: Duration,
    ends: Duration,
}

impl Transcript {
    pub fn new(id: String, wish: TranscriptionWish) -> Self {
        let line = Line::new(id, wish.url.clone());
        Self { line, wish, utterances: VecDeque::new(), count: 0, results: 0 }
    }

    pub fn add_to_view(&self, view: &mut Value) {
        view["locale"] = json!(self.wish.locale);
        view["resultsSent"] = json!(self.results);
    }

    pub fn forget_utterances(&mut self) {
        self.utterances.clear();
    }

    /// When somebody has said what they were about to say.
    fn free_from(&self, who: &RawId, now: Tick) -> Tick {
        let mine = self.utterances.iter().filter(|utterance| utterance.who == *who);
        mine.map(|utterance| utterance.from + utterance.length).fold(now, Tick::max)
    }

    fn utterance(&self, number: u64) -> Option<&Utterance> {
        self.utterances.iter().find(|utterance| utterance.number == number)
    }
}

impl Utterance {
    /// How many words are told with a result.
    fn words_at(&self, step: usize) -> usize {
        let unfinished = self.steps.saturating_sub(1).max(1);
        (self.words.len() * step).div_ceil(unfinished).min(self.words.len())
    }

    /// When a result is due, after the beginning: an unfinished one when its last word is said, the
    /// final one after a silence.
    fn time_of(&self, step: usize, silence: Duration) -> Duration {
        if step >= self.steps {
            return self.length + silence;
        }
        let last = self.words_at(step).checked_sub(1).and_then(|at| self.words.get(at));
        last.map_or(self.length, |word| word.ends)
    }

    /// A result. `since` is when the transcription began.
    fn result(&self, words: usize, is_final: bool, since: Tick, confidence: f64) -> frames::Frame {
        let ticks = |time: Duration| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_mul(TICKS_PER_MS)
        };
        let offset = ticks(self.from.since(since));
        let told = self.words.get(..words).unwrap_or_default();
        let end = told.last().map_or(0, |word| word.place.end);
        let text = if is_final { Some(self.text.as_str()) } else { self.text.get(..end) };
        let spoken = |word: &Word| {
            let text = self.text.get(word.place.clone()).unwrap_or_default();
            let text = text.trim_matches(|sign: char| !sign.is_alphanumeric());
            let (begins, length) = (ticks(word.begins), ticks(word.ends - word.begins));
            (text.to_lowercase(), offset.saturating_add(begins), length)
        };
        let words: Vec<_> = told.iter().map(spoken).filter(|(text, ..)| !text.is_empty()).collect();
        let length =
            if is_final { self.length } else { told.last().map_or(self.length, |word| word.ends) };
        frames::transcription_data(&Spoken {
            text: text.unwrap_or_default(),
            offset,
            duration: ticks(length),
            words: words.iter().map(|(text, at, long)| (text.as_str(), *at, *long)).collect(),
            who: &self.who,
            is_final,
            confidence,
        })
    }
}

/// The words of a text, each said for as long as it has characters.
fn words_of(text: &str, per_character: Duration) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut begin, mut began) = (None, Duration::ZERO);
    let mut time = Duration::ZERO;
    for (at, sign) in text.char_indices() {
        match (sign.is_whitespace(), begin) {
            (true, Some(from)) => {
                words.push(Word { place: from..at, begins: began, ends: time });
                begin = None;
            }
            (false, None) => (begin, began) = (Some(at), time),
            _ => {}
        }
        time = time.saturating_add(per_character);
    }
    if let Some(from) = begin {
        words.push(Word { place: from..text.len(), begins: began, ends: time });
    }
    words
}

impl World {
    /// The socket is open: says what follows.
    pub(super) fn words_begin(&mut self, call: &CallConnectionId, socket: SocketId) {
        let correlation = self.conversation_of(call).map(|found| found.correlation.clone());
        let Some((correlation, stream)) = correlation.zip(self.transcript(call)) else { return };
        let metadata = frames::transcription_metadata(
            &stream.line.id,
            &stream.wish.locale,
            stream.wish.model.as_deref(),
            call.as_str(),
            correlation.as_str(),
        );
        self.switchboard.send(socket, metadata);
    }

    pub(super) fn set_language(
        &mut self,
        call: &CallConnectionId,
        locale: Option<String>,
        model: Option<String>,
    ) {
        let Some(stream) = self.transcript(call) else { return };
        if let Some(locale) = locale {
            stream.wish.locale = locale;
        }
        if model.is_some() {
            stream.wish.model = model;
        }
    }

    /// Changes the language of a transcription, or its model.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, or is not transcribed.
    pub fn update_transcription(
        &mut self,
        call: &CallConnectionId,
        locale: Option<String>,
        model: Option<String>,
        meta: &Meta,
    ) -> Result<(), Refusal> {
        let feed = Feed::Transcription;
        self.check_running(call, feed)?;
        self.set_language(call, locale, model);
        let told_again = self.config.behaviour.streams.metadata_after_update;
        let socket = self.transcript(call).and_then(|stream| stream.line.open_socket());
        if let Some(socket) = socket.filter(|_| told_again) {
            self.words_begin(call, socket);
        }
        let members = feed.update("Updated", "transcriptionLocaleUpdated");
        let news = News::of(EventKind::TranscriptionUpdated, outcomes::DONE).with(members);
        self.tell(call, meta, news);
        Ok(())
    }

    /// Somebody says something: it sounds, and it is transcribed.
    pub(super) fn words_streamed(&mut self, conversation: ConversationId, who: &RawId, text: &str) {
        let text = text.trim();
        let Some(found) = self.conversations.get(conversation) else { return };
        if text.is_empty() || !found.party(who).is_some_and(is_audible) {
            return;
        }
        let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let per_character = self.config.behaviour.speech_per_character;
        let length = per_character.saturating_mul(characters);
        for call in found.apps() {
            self.sounds(&call, who, Tone::Speech, length);
            self.utterance_begins(&call, who, text, length);
        }
    }

    fn utterance_begins(
        &mut self,
        call: &CallConnectionId,
        who: &RawId,
        text: &str,
        length: Duration,
    ) {
        let now = self.now.tick;
        let per_character = self.config.behaviour.speech_per_character;
        let silence = self.config.behaviour.end_silence_default;
        let limits = &self.config.limits;
        let (most, most_results) = (limits.sounds_waiting, limits.intermediate_results);
        let Some(stream) = self.transcript(call) else { return };
        if stream.line.open_socket().is_none() {
            return;
        }
        if stream.utterances.len() >= most {
            tracing::warn!(%call, "words are not transcribed, too many wait already; let time pass or raise limits.sounds_waiting");
            return;
        }
        let words = words_of(text, per_character);
        let told = if stream.wish.intermediate { words.len().min(most_results) } else { 0 };
        stream.count += 1;
        let utterance = Utterance {
            number: stream.count,
            who: who.clone(),
            text: text.to_owned(),
            words,
            from: stream.free_from(who, now),
            length,
            steps: told + 1,
        };
        let (number, first) = (utterance.number, utterance.from + utterance.time_of(1, silence));
        stream.utterances.push_back(utterance);
        self.agenda.set(first, Due::Words(call.clone(), number, 1));
    }

    /// A result is due.
    pub(super) fn words_due(&mut self, call: &CallConnectionId, number: u64, step: usize) {
        let silence = self.config.behaviour.end_silence_default;
        let Some(utterance) = self.transcript(call).and_then(|found| found.utterance(number))
        else {
            return;
        };
        if step >= utterance.steps {
            return self.finish_utterance(call, number);
        }
        let words = utterance.words_at(step);
        let next = utterance.from + utterance.time_of(step + 1, silence);
        self.tell_words(call, number, words, false);
        self.agenda.set(next, Due::Words(call.clone(), number, step + 1));
    }

    fn finish_utterance(&mut self, call: &CallConnectionId, number: u64) {
        let words = self.transcript(call).and_then(|found| found.utterance(number));
        let words = words.map_or(0, |utterance| utterance.words.len());
        self.tell_words(call, number, words, true);
        if let Some(stream) = self.transcript(call) {
            stream.utterances.retain(|utterance| utterance.number != number);
        }
    }

    /// What is being said, by one or by all, is told whole at once: nothing is lost when somebody
    /// leaves in the middle of it.
    pub(super) fn finish_utterances(&mut self, call: &CallConnectionId, who: Option<&RawId>) {
        let Some(stream) = self.transcript(call) else { return };
        let meant = |utterance: &&Utterance| who.is_none_or(|who| utterance.who == *who);
        let numbers: Vec<_> =
            stream.utterances.iter().filter(meant).map(|utterance| utterance.number).collect();
        for number in numbers {
            self.finish_utterance(call, number);
        }
    }

    fn tell_words(&mut self, call: &CallConnectionId, number: u64, words: usize, is_final: bool) {
        let confidence = self.config.behaviour.confidence;
        let Some(stream) = self.transcript(call) else { return };
        let Some(socket) = stream.line.open_socket() else { return };
        let since = stream.line.since;
        let Some(utterance) = stream.utterance(number) else { return };
        let frame = utterance.result(words, is_final, since, confidence);
        stream.results = stream.results.saturating_add(1);
        self.switchboard.send(socket, frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_where_they_are_said() {
        let text = "ja,  ätsch!";
        let words = words_of(text, Duration::from_millis(10));
        let seen: Vec<_> = words
            .iter()
            .map(|word| (&text[word.place.clone()], word.begins.as_millis(), word.ends.as_millis()))
            .collect();
        assert_eq!(seen, [("ja,", 0, 30), ("ätsch!", 50, 110)]);
        assert!(words_of("   ", Duration::from_millis(10)).is_empty());
    }
}
