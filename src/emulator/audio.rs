//! How long an audio file lasts, told by its first bytes, and whether it is on this machine.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

/// The file is neither WAV nor MP3, or a WAV that Azure does not play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongFormat;

/// The length of a file that begins with `head` and has `size` bytes; `None` when it cannot be told.
/// `strict` wants a WAV to be 16 kHz, mono, 16 bit PCM.
///
/// # Errors
/// [`WrongFormat`] when it cannot be played.
pub fn length_of(
    head: &[u8],
    size: Option<u64>,
    strict: bool,
) -> Result<Option<Duration>, WrongFormat> {
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        return wav_length(head, size, strict);
    }
    let is_mp3 =
        head.starts_with(b"ID3") || matches!(head, [0xFF, second, ..] if second & 0xE0 == 0xE0);
    if !is_mp3 {
        return Err(WrongFormat);
    }
    // Variable bit rates would need the whole file; 128 kbit/s is what prompts usually have.
    Ok(size.map(|bytes| Duration::from_millis(bytes / 16)))
}

fn wav_length(
    head: &[u8],
    size: Option<u64>,
    strict: bool,
) -> Result<Option<Duration>, WrongFormat> {
    let mut bytes_per_second = None;
    let mut at = 12;
    while let Some(chunk) = head.get(at..at + 8) {
        let length = u64::from(little_32(chunk, 4).ok_or(WrongFormat)?);
        match &chunk[..4] {
            b"fmt " => {
                let format = head.get(at + 8..at + 24).ok_or(WrongFormat)?;
                bytes_per_second = Some(rate_of(format, strict).ok_or(WrongFormat)?);
            }
            b"data" => {
                let rate = bytes_per_second.filter(|rate| *rate > 0).ok_or(WrongFormat)?;
                let after = u64::try_from(at + 8).unwrap_or(u64::MAX);
                // A streamed file gives its length as unknown (all ones).
                let there = size.map_or(length, |size| length.min(size.saturating_sub(after)));
                return Ok(Some(Duration::from_millis(there.saturating_mul(1000) / rate)));
            }
            _ => {}
        }
        let skip = usize::try_from(length + length % 2).map_err(|_| WrongFormat)?;
        at = at.checked_add(8 + skip).ok_or(WrongFormat)?;
    }
    bytes_per_second.map(|_| None).ok_or(WrongFormat)
}

/// Bytes per second of a format chunk, when it is one that is played.
fn rate_of(format: &[u8], strict: bool) -> Option<u64> {
    let (kind, channels) = (little_16(format, 0)?, little_16(format, 2)?);
    let (samples, bytes) = (little_32(format, 4)?, little_32(format, 8)?);
    let bits = little_16(format, 14)?;
    let pcm = kind == 1 || kind == 0xFFFE;
    let exact = pcm && channels == 1 && samples == 16_000 && bits == 16;
    (exact || !strict).then_some(u64::from(bytes))
}

fn little_16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn little_32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Whether a URL leads to this machine.
pub fn is_on_this_machine(url: &str) -> bool {
    let Some(host) = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)) else {
        return false;
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// Whether a text is an absolute http or https URL with a host; with `https_only` just https.
pub fn is_web_address(text: &str, https_only: bool) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let scheme = url.scheme();
        (scheme == "https" || (scheme == "http" && !https_only)) && url.host_str().is_some()
    })
}

/// Whether a text is an absolute URL of a web socket: `wss`, or `ws` where that may go.
pub fn is_socket_address(text: &str, secure_only: bool, ws_to_any_host: bool) -> bool {
    let here = ws_to_any_host || is_on_this_machine(text);
    Url::parse(text).is_ok_and(|url| {
        let scheme = url.scheme();
        let may = scheme == "wss" || (scheme == "ws" && !secure_only && here);
        may && url.host_str().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(samples_per_second: u32, channels: u16, data: u32) -> Vec<u8> {
        let bytes = samples_per_second * u32::from(channels) * 2;
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0".to_vec();
        file.extend(channels.to_le_bytes());
        file.extend(samples_per_second.to_le_bytes());
        file.extend(bytes.to_le_bytes());
        file.extend((channels * 2).to_le_bytes());
        file.extend(16_u16.to_le_bytes());
        file.extend(b"data");
        file.extend(data.to_le_bytes());
        file
    }

    #[test]
    fn a_wav_tells_its_length() {
        let second_and_a_half = Ok(Some(Duration::from_millis(1500)));
        assert_eq!(length_of(&wav(16_000, 1, 48_000), None, true), second_and_a_half);
        let cut = length_of(&wav(16_000, 1, u32::MAX), Some(32_000 + 56), true);
        assert_eq!(cut, Ok(Some(Duration::from_secs(1))));
    }

    #[test]
    fn only_what_azure_plays_is_played() {
        assert_eq!(length_of(&wav(8_000, 1, 100), None, true), Err(WrongFormat));
        assert_eq!(length_of(&wav(16_000, 2, 100), None, true), Err(WrongFormat));
        assert!(length_of(&wav(8_000, 2, 100), None, false).is_ok());
        assert_eq!(length_of(b"<html>", Some(6), true), Err(WrongFormat));
        assert_eq!(length_of(b"", Some(0), true), Err(WrongFormat));
        assert_eq!(length_of(b"RIFF\0\0\0\0WAVE", None, true), Err(WrongFormat));
        assert_eq!(length_of(b"ID3", Some(16_000), true), Ok(Some(Duration::from_secs(1))));
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (url, here) in [
            ("http://127.0.0.1:1/a", true),
            ("https://localhost/a", true),
            ("http://[::1]:8/a", true),
            ("http://10.0.0.1/a", false),
            ("https://localhost.example.test/a", false),
            ("no url", false),
        ] {
            assert_eq!(is_on_this_machine(url), here, "{url}");
        }
    }

    #[test]
    fn sockets_are_secure_or_on_this_machine() {
        #[track_caller]
        fn check(url: &str, secure_only: bool, anywhere: bool, taken: bool) {
            assert_eq!(is_socket_address(url, secure_only, anywhere), taken, "{url}");
        }
        check("wss://app.example.test/ws?key=1", true, false, true);
        check("ws://127.0.0.1:8000/ws", false, false, true);
        check("ws://localhost/ws", true, false, false);
        check("ws://app/ws", false, false, false);
        check("ws://app/ws", false, true, true);
        check("https://app.example.test/ws", false, true, false);
        check("app.example.test/ws", false, true, false);
    }
}
