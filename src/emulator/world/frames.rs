//! What goes over the sockets of streams: the frames that Azure sends, and those that it takes.
//!
//! Member names, and the kinds `AudioMetadata`, `AudioData`, `DtmfData`, `TranscriptionMetadata` and
//! `TranscriptionData`, are those that the official parsers read; `AudioData` and `StopAudio` of the
//! application are read whatever the case of their members, because the SDKs differ in it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::emulator::pcm::Rate;
use crate::wire::identifiers::RawId;

/// A frame on its way to the application.
#[derive(Clone, PartialEq)]
pub enum Frame {
    /// 20 ms of audio. Written out only when it leaves, because many may wait.
    Audio(AudioFrame),
    /// Any other, written out.
    Text(String),
}

/// 20 ms of audio.
#[derive(Clone, PartialEq)]
pub struct AudioFrame {
    /// When they ended.
    pub at: Timestamp,
    /// Who is heard; mixed audio does not say.
    pub who: Option<RawId>,
    /// Base64.
    pub data: Arc<str>,
    /// Whether nobody is heard.
    pub silent: bool,
}

/// What the application sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// So many bytes of audio, to be played into the call.
    Audio(usize),
    /// What still waits to be played is to be forgotten.
    StopAudio,
}

/// One result of a transcription.
pub struct Spoken<'a> {
    /// As displayed.
    pub text: &'a str,
    /// Ticks of 100 ns since the transcription began.
    pub offset: u64,
    /// Ticks of 100 ns.
    pub duration: u64,
    /// Word, offset and duration of each.
    pub words: Vec<(&'a str, u64, u64)>,
    /// Who spoke.
    pub who: &'a RawId,
    /// Whether it is the last word on this utterance.
    pub is_final: bool,
    /// From 0 to 1.
    pub confidence: f64,
}

impl Frame {
    /// As it is sent.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Audio(audio) => audio.text(),
        }
    }

    /// Whether it may be left out when the receiver is too slow.
    pub fn is_audio(&self) -> bool {
        matches!(self, Self::Audio(_))
    }
}

impl AudioFrame {
    fn text(&self) -> String {
        let mut data = Map::new();
        let at = self.at.strftime("%Y-%m-%dT%H:%M:%S");
        let ms = self.at.subsec_millisecond();
        data.insert("timestamp".into(), format!("{at}.{ms:03}Z").into());
        // Absent, not null: a parser makes an identifier of whatever is there.
        if let Some(who) = &self.who {
            data.insert("participantRawID".into(), who.as_str().into());
        }
        data.insert("data".into(), (*self.data).into());
        data.insert("silent".into(), self.silent.into());
        json!({ "kind": "AudioData", "audioData": data }).to_string()
    }
}

/// The first frame of a media stream.
pub fn audio_metadata(subscription: &str, rate: Rate) -> Frame {
    let data = json!({
        "subscriptionId": subscription, "encoding": "PCM", "sampleRate": rate.hertz(),
        "channels": 1, "length": rate.frame_bytes(),
    });
    Frame::Text(json!({ "kind": "AudioMetadata", "audioMetadata": data }).to_string())
}

/// A pressed key.
pub fn key(sign: &str) -> Frame {
    Frame::Text(json!({ "kind": "DtmfData", "dtmfData": { "data": sign } }).to_string())
}

/// The first frame of a transcription.
pub fn transcription_metadata(
    subscription: &str,
    locale: &str,
    model: Option<&str>,
    call: &str,
    correlation: &str,
) -> Frame {
    let mut data = json!({
        "subscriptionId": subscription, "locale": locale, "callConnectionId": call,
        "correlationId": correlation,
    });
    if let Some(model) = model {
        data["speechRecognitionModelEndpointId"] = model.into();
    }
    Frame::Text(
        json!({ "kind": "TranscriptionMetadata", "transcriptionMetadata": data }).to_string(),
    )
}

/// A result of a transcription.
pub fn transcription_data(spoken: &Spoken<'_>) -> Frame {
    let word = |(text, offset, duration): &(&str, u64, u64)| json!({ "text": text, "offset": offset, "duration": duration });
    let data = json!({
        "text": spoken.text,
        "format": "display",
        "confidence": spoken.confidence,
        "offset": spoken.offset,
        "duration": spoken.duration,
        "words": spoken.words.iter().map(word).collect::<Vec<_>>(),
        "participantRawID": spoken.who,
        "resultStatus": if spoken.is_final { "Final" } else { "Intermediate" },
    });
    Frame::Text(json!({ "kind": "TranscriptionData", "transcriptionData": data }).to_string())
}

/// Reads a frame of the application.
///
/// # Errors
/// What to change. Nothing of the frame is repeated.
pub fn read(text: &str) -> Result<Sent, &'static str> {
    const SHAPE: &str = r#"send {"kind":"AudioData","audioData":{"data":"<base64>"}} or {"kind":"StopAudio","stopAudio":{}}"#;
    let frame: Value = serde_json::from_str(text).map_err(|_| SHAPE)?;
    let kind = member(&frame, "kind").and_then(Value::as_str).ok_or(SHAPE)?;
    if kind.eq_ignore_ascii_case("StopAudio") {
        return Ok(Sent::StopAudio);
    }
    if !kind.eq_ignore_ascii_case("AudioData") {
        return Err(SHAPE);
    }
    let data = member(&frame, "audioData").and_then(|audio| member(audio, "data"));
    let data = data.and_then(Value::as_str).ok_or(SHAPE)?;
    let bytes = STANDARD.decode(data).map_err(|_| "audioData.data must be standard base64")?;
    if bytes.len() % 2 != 0 {
        return Err("audioData.data must hold whole samples of two bytes");
    }
    Ok(Sent::Audio(bytes.len()))
}

fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object
        .as_object()?
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_the_application_are_read_in_any_case() {
        #[track_caller]
        fn check(frame: &str, expected: Result<Sent, &str>) {
            let got = read(frame);
            match expected {
                Ok(sent) => assert_eq!(got, Ok(sent)),
                Err(says) => assert!(got.expect_err("refused").contains(says)),
            }
        }
        check(r#"{"kind":"AudioData","audioData":{"data":"AAAA/w=="}}"#, Ok(Sent::Audio(4)));
        check(
            r#"{"Kind":"AudioData","AudioData":{"Data":"AAA="},"StopAudio":null}"#,
            Ok(Sent::Audio(2)),
        );
        check(r#"{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}"#, Ok(Sent::StopAudio));
        check(r#"{"kind":"AudioData","audioData":{"data":"AAAA"}}"#, Err("whole samples"));
        check(r#"{"kind":"AudioData","audioData":{"data":"?"}}"#, Err("base64"));
        for bad in ["", "hello", "[]", "{}", r#"{"kind":"AudioData"}"#, r#"{"kind":"Video"}"#] {
            check(bad, Err("send {"));
        }
    }

    #[test]
    fn audio_frames_look_as_documented() {
        let at = "2024-11-15T19:16:12.9251Z".parse().expect("a time");
        let frame = |who: Option<&str>| {
            let (who, data) = (who.map(RawId::from), Arc::from("AAA="));
            let text = Frame::Audio(AudioFrame { at, who, data, silent: false }).text();
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let named = json!({ "kind": "AudioData", "audioData": {
            "timestamp": "2024-11-15T19:16:12.925Z", "participantRawID": "8:acs:a", "data": "AAA=",
            "silent": false,
        } });
        assert_eq!(frame(Some("8:acs:a")), named);
        assert!(frame(None)["audioData"].get("participantRawID").is_none());
    }
}
