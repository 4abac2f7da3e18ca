//! Sound as Azure streams it: 20 ms of 16 bit PCM, mono, base64.
//!
//! Silence, a steady tone for speech, and the two tones of a pressed key. A frame of the steady tone
//! holds whole periods, so that frames join without a click and one frame serves for all.

use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Length of a frame.
pub const FRAME_MS: u64 = 20;

/// Pitch of speech: 8 whole periods in a frame.
const SPEECH_HERTZ: f64 = 400.0;

/// A quarter of full scale for each tone: two of them stay far from clipping.
const LOUDNESS: f64 = 8_192.0;

/// Samples per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// `pcm16KMono`.
    K16,
    /// `pcm24KMono`.
    K24,
}

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Somebody speaks.
    Speech,
    /// A key is down.
    Key(&'static str),
}

impl Rate {
    /// Samples per second.
    pub fn hertz(self) -> u32 {
        match self {
            Self::K16 => 16_000,
            Self::K24 => 24_000,
        }
    }

    /// Bytes in a frame: 640 or 960.
    pub fn frame_bytes(self) -> usize {
        match self {
            Self::K16 => 640,
            Self::K24 => 960,
        }
    }

    /// How long so many bytes of sound last.
    pub fn length_of(self, bytes: usize) -> std::time::Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        std::time::Duration::from_micros(bytes.saturating_mul(500_000) / u64::from(self.hertz()))
    }

    fn samples(self) -> u32 {
        match self {
            Self::K16 => 320,
            Self::K24 => 480,
        }
    }
}

struct Kept {
    silence: Arc<str>,
    speech: Arc<str>,
}

impl Kept {
    fn make(rate: Rate) -> Self {
        Self { silence: frame(rate, 0, &[]), speech: frame(rate, 0, &[SPEECH_HERTZ]) }
    }
}

/// The frames that are needed again and again.
fn kept(rate: Rate) -> &'static Kept {
    static KEPT: LazyLock<[Kept; 2]> =
        LazyLock::new(|| [Kept::make(Rate::K16), Kept::make(Rate::K24)]);
    let [slow, fast] = &*KEPT;
    match rate {
        Rate::K16 => slow,
        Rate::K24 => fast,
    }
}

/// A frame of silence.
pub fn silence(rate: Rate) -> Arc<str> {
    Arc::clone(&kept(rate).silence)
}

/// A frame of a tone that began `since_ms` before the frame.
pub fn sound(rate: Rate, tone: Tone, since_ms: u64) -> Arc<str> {
    match tone {
        Tone::Speech => Arc::clone(&kept(rate).speech),
        Tone::Key(key) => frame(rate, since_ms, &key_hertz(key)),
    }
}

fn frame(rate: Rate, since_ms: u64, pitches: &[f64]) -> Arc<str> {
    let mut bytes = Vec::with_capacity(rate.frame_bytes());
    // Keys last a fraction of a second: the time fits, and stays exact.
    let since = f64::from(u32::try_from(since_ms).unwrap_or(u32::MAX)) / 1000.0;
    for sample in 0..rate.samples() {
        let time = since + f64::from(sample) / f64::from(rate.hertz());
        let level: f64 = pitches.iter().map(|hertz| LOUDNESS * (TAU * hertz * time).sin()).sum();
        bytes.extend(sample_of(level).to_le_bytes());
    }
    STANDARD.encode(bytes).into()
}

fn sample_of(level: f64) -> i16 {
    // Two tones reach half of full scale, and casting floats saturates anyway.
    level.round() as i16
}

/// The two tones of a key (ITU-T Q.23); none for what is not a key.
fn key_hertz(key: &str) -> Vec<f64> {
    const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    const KEYS: [[&str; 4]; 4] = [
        ["one", "two", "three", "a"],
        ["four", "five", "six", "b"],
        ["seven", "eight", "nine", "c"],
        ["asterisk", "zero", "pound", "d"],
    ];
    for (row, keys) in ROWS.iter().zip(KEYS) {
        for (column, found) in COLUMNS.iter().zip(keys) {
            if found == key {
                return vec![*row, *column];
            }
        }
    }
    Vec::new()
}

/// A key as it is printed on a phone: `3`, `#`.
pub fn printed(key: &'static str) -> &'static str {
    const KEYS: [(&str, &str); 16] = [
        ("zero", "0"),
        ("one", "1"),
        ("two", "2"),
        ("three", "3"),
        ("four", "4"),
        ("five", "5"),
        ("six", "6"),
        ("seven", "7"),
        ("eight", "8"),
        ("nine", "9"),
        ("a", "A"),
        ("b", "B"),
        ("c", "C"),
        ("d", "D"),
        ("pound", "#"),
        ("asterisk", "*"),
    ];
    KEYS.iter().find(|(word, _)| *word == key).map_or(key, |(_, sign)| sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::phone_book::tones;

    fn samples(frame: &str) -> Vec<i16> {
        let bytes = STANDARD.decode(frame).expect("base64");
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    /// How much of a pitch is in a frame (Goertzel's question, asked plainly).
    fn strength(samples: &[i16], rate: Rate, hertz: f64) -> f64 {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (at, sample) in (0_u32..).zip(samples) {
            let angle = TAU * hertz * f64::from(at) / f64::from(rate.hertz());
            sine += f64::from(*sample) * angle.sin();
            cosine += f64::from(*sample) * angle.cos();
        }
        2.0 * (sine * sine + cosine * cosine).sqrt() / f64::from(rate.samples())
    }

    #[test]
    fn frames_are_20_ms_long() {
        for rate in [Rate::K16, Rate::K24] {
            for frame in
                [silence(rate), sound(rate, Tone::Speech, 0), sound(rate, Tone::Key("one"), 40)]
            {
                assert_eq!(samples(&frame).len() * 2, rate.frame_bytes());
            }
            assert_eq!(rate.length_of(rate.frame_bytes()).as_millis(), u128::from(FRAME_MS));
            assert!(samples(&silence(rate)).iter().all(|sample| *sample == 0));
            assert!(samples(&sound(rate, Tone::Speech, 0)).iter().any(|sample| *sample > 8_000));
        }
    }

    #[test]
    fn a_key_sounds_like_that_key() {
        let frame = samples(&sound(Rate::K16, Tone::Key("five"), 60));
        for (hertz, there) in [(770.0, true), (1336.0, true), (697.0, false), (1633.0, false)] {
            assert_eq!(strength(&frame, Rate::K16, hertz) > 6_000.0, there, "{hertz}");
        }
    }

    #[test]
    fn every_key_has_tones_and_a_sign() {
        for key in tones("0123456789abcd*#").expect("keys") {
            assert_eq!(key_hertz(key).len(), 2, "{key}");
            let sign = printed(key);
            assert_eq!(tones(sign), Ok(vec![key]), "{sign}");
        }
    }
}
