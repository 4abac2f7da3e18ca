//! Sound files of the emulator's own making: silence, with a beep where something was to be heard.

use std::time::Duration;

/// Samples per second of a WAV file.
pub const RATE: u32 = 16_000;
/// Bits of a sample.
pub const BITS: u16 = 16;

const HEAD: usize = 44;
/// Half a period of a beep, in samples: 400 Hz.
const HALF: usize = 20;
const LOUD: i16 = 4_000;

/// A beep on a channel.
#[derive(Clone, Debug)]
pub struct Beep {
    /// Since the beginning of the file.
    pub from: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// On which channel, from 0.
    pub channel: u8,
}

fn samples(time: Duration) -> usize {
    usize::try_from(time.as_millis()).unwrap_or(usize::MAX).saturating_mul(RATE as usize / 1_000)
}

/// A WAV file, cut off where it would have more bytes than `limit`.
pub fn wav(length: Duration, channels: u8, beeps: &[Beep], limit: usize) -> Vec<u8> {
    let channels = usize::from(channels.max(1));
    let frame = channels * usize::from(BITS / 8);
    let frames = samples(length).min(limit.saturating_sub(HEAD) / frame);
    let data = frames * frame;
    let mut bytes = Vec::with_capacity(HEAD + data);
    let four = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let two = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
    bytes.extend(b"RIFF");
    bytes.extend(four(HEAD - 8 + data));
    bytes.extend(b"WAVEfmt ");
    bytes.extend(four(16));
    bytes.extend(two(1));
    bytes.extend(two(channels));
    bytes.extend(RATE.to_le_bytes());
    bytes.extend(four(RATE as usize * frame));
    bytes.extend(two(frame));
    bytes.extend(BITS.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(four(data));
    bytes.resize(HEAD + data, 0);
    for beep in beeps {
        let (from, channel) = (samples(beep.from), usize::from(beep.channel));
        let to = from.saturating_add(samples(beep.lasts)).min(frames);
        for at in from..to {
            let value = if (at / HALF).is_multiple_of(2) { LOUD } else { -LOUD };
            let place = HEAD + at * frame + channel * 2;
            if let Some(sample) = bytes.get_mut(place..place + 2) {
                sample.copy_from_slice(&value.to_le_bytes());
            }
        }
    }
    bytes
}

/// Silence in MP3: MPEG-1 layer III, 48 kHz, one channel, 32 kbit/s. Each frame of 24 ms says that it
/// holds nothing.
pub fn silent_mp3(length: Duration, limit: usize) -> Vec<u8> {
    const FRAME: usize = 96;
    let frames = usize::try_from(length.as_millis().div_ceil(24)).unwrap_or(usize::MAX);
    let frames = frames.min(limit / FRAME);
    let mut frame = [0; FRAME];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x14, 0xc0]);
    frame.repeat(frames)
}

/// An MP4 container of that length without any track: nothing is drawn.
pub fn empty_mp4(length: Duration) -> Vec<u8> {
    let boxed = |name: &[u8; 4], body: &[u8]| {
        let size = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
        [&size.to_be_bytes()[..], name, body].concat()
    };
    let kind = boxed(b"ftyp", b"isom\0\0\x02\0isomiso2mp41");
    let ms = u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
    let mut head = vec![0; 12];
    head.extend(1_000_u32.to_be_bytes());
    head.extend(ms.to_be_bytes());
    head.extend(0x0001_0000_u32.to_be_bytes());
    head.extend(0x0100_u16.to_be_bytes());
    head.resize(head.len() + 10, 0);
    for unit in [0x0001_0000_u32, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        head.extend(unit.to_be_bytes());
    }
    head.resize(head.len() + 24, 0);
    head.extend(1_u32.to_be_bytes());
    let movie = boxed(b"moov", &boxed(b"mvhd", &head));
    [kind, movie, boxed(b"mdat", &[])].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::audio;

    #[test]
    fn a_wav_is_one_that_azure_would_play_and_beeps_where_it_should() {
        let beep =
            Beep { from: Duration::from_millis(100), lasts: Duration::from_millis(50), channel: 0 };
        let file = wav(Duration::from_secs(1), 1, &[beep], usize::MAX);
        let length = audio::length_of(&file, None, true).expect("a good file");
        assert_eq!(length, Some(Duration::from_secs(1)));
        let loud = |ms: usize| file[HEAD + ms * 32..][..2] != [0, 0];
        assert_eq!([99, 100, 149, 150].map(loud), [false, true, true, false]);
    }

    #[test]
    fn channels_are_apart() {
        let beep = Beep { from: Duration::ZERO, lasts: Duration::from_millis(1), channel: 2 };
        let file = wav(Duration::from_millis(1), 3, &[beep], usize::MAX);
        assert_eq!(file.len(), HEAD + 16 * 6);
        assert_eq!(file[HEAD..HEAD + 6], [0, 0, 0, 0, 0xa0, 0x0f]);
    }

    #[test]
    fn no_file_is_longer_than_it_may_be() {
        assert_eq!(wav(Duration::MAX, 2, &[], 1_000).len(), 1_000);
        assert_eq!(silent_mp3(Duration::MAX, 1_000).len(), 960);
    }
}
