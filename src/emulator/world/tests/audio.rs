//! Media streaming: frames of audio, keys, and what the application plays.

use super::streams::{details, media};
use super::*;

const OTHER: &str = "+14255550199";

/// For each frame of audio: who, and whether somebody is heard.
fn voices(frames: &[Value]) -> Vec<(&str, bool)> {
    let audio = frames.iter().filter_map(|frame| frame.get("audioData"));
    let voice = |audio: &'_ Value| audio["silent"] == false;
    audio.map(|audio| (audio["participantRawID"].as_str().unwrap_or("-"), voice(audio))).collect()
}

fn loud(frames: &[Value]) -> usize {
    voices(frames).iter().filter(|(_, loud)| *loud).count()
}

#[test]
fn who_speaks_is_heard_for_as_long() {
    let mut theatre = Theatre::new(|_| ());
    let options = json!({ "startMediaStreaming": true, "audioChannelType": "unmixed", "audioFormat": "pcm24KMono" });
    let call = theatre.streamed(&[CALLER, OTHER], &media(options));
    theatre.open_socket();
    let (frames, _) = theatre.sent();
    assert_eq!(frames[0]["audioMetadata"]["sampleRate"], 24000);
    assert_eq!(frames[0]["audioMetadata"]["length"], 960);
    let (first, second) = (format!("4:{CALLER}"), format!("4:{OTHER}"));
    theatre.far(&call, OTHER, Deed::Say("ab".into()));
    theatre.pass(160);
    let (frames, _) = theatre.sent();
    let seen = voices(&frames);
    assert_eq!(seen[..4], [(&*second, true), (&*first, false), (&*second, true), (&*first, false)]);
    assert_eq!(loud(&frames), 6, "two characters of 60 ms each");
    assert_eq!(seen[12..14], [(&*first, false), (&*second, false)]);
    let data = |at: usize| frames[at]["audioData"]["data"].as_str().expect("audio").len();
    assert_eq!((data(0), data(1)), (1280, 1280), "960 bytes in base64");
    assert_ne!(frames[0]["audioData"]["data"], frames[1]["audioData"]["data"]);

    let conversation = theatre.world.conversations.iter().map(|(id, _)| id).next().expect("a call");
    let found = theatre.world.conversations.get_mut(conversation).expect("a call");
    found.party_mut(&RawId::of_number(OTHER)).expect("a party").is_muted = true;
    theatre.far(&call, OTHER, Deed::Say("ab".into()));
    theatre.pass(160);
    assert_eq!(loud(&theatre.sent().0), 0, "who is muted is not heard");
}

#[test]
fn unmixed_audio_has_four_channels_at_most() {
    let mut theatre = Theatre::new(|_| ());
    let phones: Vec<_> = (0..6).map(|number| format!("+1425555000{number}")).collect();
    let phones: Vec<_> = phones.iter().map(String::as_str).collect();
    let options = json!({ "startMediaStreaming": true, "audioChannelType": "unmixed" });
    let call = theatre.streamed(&phones, &media(options));
    theatre.open_socket();
    theatre.sent();
    theatre.far(&call, phones[5], Deed::Say("hello".into()));
    theatre.pass(20);
    let (frames, _) = theatre.sent();
    let last = format!("4:{}", phones[5]);
    assert_eq!(frames.len(), 4);
    assert_eq!(voices(&frames)[0], (&*last, true));
}

#[test]
fn mixed_audio_may_name_who_speaks() {
    #[track_caller]
    fn check(named: bool, expected: &str) {
        let mut theatre =
            Theatre::new(|config| config.behaviour.streams.mixed_names_speaker = named);
        let call = theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
        theatre.open_socket();
        theatre.sent();
        theatre.far(&call, CALLER, Deed::Say("a".into()));
        theatre.pass(80);
        let (frames, _) = theatre.sent();
        let spoken = (expected, true);
        assert_eq!(voices(&frames), [spoken, spoken, spoken, ("-", false)]);
    }
    check(false, "-");
    check(true, "4:+14255551212");
}

#[test]
fn keys_are_told_and_heard() {
    #[track_caller]
    fn check(told: bool, as_words: bool, expected: &[&str]) {
        let mut theatre = Theatre::new(|config| config.behaviour.streams.keys_as_words = as_words);
        let options = json!({ "startMediaStreaming": true, "enableDtmfTones": told });
        let call = theatre.streamed(&[CALLER], &media(options));
        theatre.open_socket();
        theatre.sent();
        theatre.far(&call, CALLER, Deed::Press(vec!["one", "pound"]));
        let (frames, _) = theatre.sent();
        let keys: Vec<_> = frames.iter().map(|frame| frame["dtmfData"]["data"].clone()).collect();
        assert_eq!(keys, expected);
        theatre.pass(1_000);
        let (frames, _) = theatre.sent();
        assert_eq!(loud(&frames), 20, "two keys of 200 ms each");
        let data = |at: usize| &frames[at]["audioData"]["data"];
        assert_ne!(data(0), data(10), "the keys sound differently");
    }
    check(true, false, &["1", "#"]);
    check(true, true, &["one", "pound"]);
    check(false, false, &[]);
}

#[test]
fn what_the_application_plays_is_accounted_for() {
    let mut theatre = Theatre::new(|_| ());
    let options = json!({ "startMediaStreaming": true, "enableBidirectional": true });
    theatre.streamed(&[CALLER], &media(options));
    let socket = theatre.open_socket();
    let second = "AAAA".repeat(32_000 / 3 + 1) + "AA==";
    let audio = |data: &str| {
        SocketNews::Heard(json!({ "kind": "AudioData", "audioData": { "data": data } }).to_string())
    };
    assert_eq!(theatre.stream_view("media")["heard"]["playing"], false);
    theatre.news(socket, audio(&second));
    theatre.news(socket, audio(&second));
    let heard = theatre.stream_view("media")["heard"].clone();
    let bytes = heard["bytes"].as_u64().expect("a number");
    assert_eq!((bytes / 1000, &heard["frames"], &heard["playing"]), (64, &json!(2), &json!(true)));
    theatre.pass(1_990);
    assert_eq!(theatre.stream_view("media")["heard"]["playing"], true);
    theatre.pass(20);
    assert_eq!(theatre.stream_view("media")["heard"]["playing"], false);
    theatre.news(socket, audio(&second));
    let stop = json!({ "Kind": "StopAudio", "AudioData": null, "StopAudio": {} });
    theatre.news(socket, SocketNews::Heard(stop.to_string()));
    let heard = theatre.stream_view("media")["heard"].clone();
    assert_eq!((&heard["playing"], &heard["stops"]), (&json!(false), &json!(1)));
    theatre.news(socket, SocketNews::Heard("hello".into()));
    theatre.news(socket, SocketNews::HeardBinary);
    assert_eq!(theatre.stream_view("media")["badFrames"], 2);
}

#[test]
fn a_stream_that_is_not_bidirectional_takes_no_audio() {
    let mut theatre = Theatre::new(|_| ());
    theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
    let socket = theatre.open_socket();
    let audio = json!({ "kind": "AudioData", "audioData": { "data": "AAA=" } });
    theatre.news(socket, SocketNews::Heard(audio.to_string()));
    let seen = theatre.stream_view("media");
    assert_eq!((&seen["heard"]["bytes"], &seen["badFrames"]), (&json!(0), &json!(1)));
}

#[test]
fn a_leap_in_time_does_not_make_a_flood() {
    let mut theatre = Theatre::new(|config| config.limits.stream_catch_up = Duration::from_secs(2));
    theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
    theatre.open_socket();
    theatre.sent();
    let hours = Duration::from_secs(10 * 3600);
    let until = theatre.now + hours;
    // Told beforehand, and passed in one stride.
    theatre.world.will_pass(until);
    theatre.pass(1_000_000);
    let skipped = theatre.stream_view("media")["framesSkipped"].clone();
    assert_eq!(skipped, (10 * 3600 - 2) * 50);
    assert_eq!(theatre.sent().0.len(), 0);
    theatre.now = until;
    theatre.settle();
    assert_eq!(theatre.sent().0.len(), 100, "the last two seconds");
    theatre.pass(1_000);
    assert_eq!(theatre.sent().0.len(), 50);

    theatre.now = theatre.now + hours;
    theatre.settle();
    assert_eq!(theatre.sent().0.len(), 100, "not told beforehand");
}

#[test]
fn sockets_and_sounds_have_limits() {
    let mut theatre = Theatre::new(|config| {
        config.limits.sockets = 1;
        config.limits.sounds_waiting = 1;
    });
    let call = theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
    let socket = theatre.open_socket();
    theatre.sent();
    for _ in 0..3 {
        theatre.far(&call, CALLER, Deed::Say("a".into()));
    }
    theatre.pass(1_000);
    assert_eq!(loud(&theatre.sent().0), 3, "60 ms, not three times as much");
    let second = theatre.streamed(&[OTHER], &media(json!({})));
    let refused = theatre.refused(Operation::StartMediaStreaming, &second, json!({}));
    assert_eq!(refused, (429, "TooManyRequests".to_owned()));
    theatre.sent();
    theatre.streamed(&[AGENT], &media(json!({ "startMediaStreaming": true })));
    assert_eq!(details(&theatre), "tooManyRequests");

    theatre.news(socket, SocketNews::LeftOut(7));
    theatre.news(socket, SocketNews::LeftOut(1));
    let calls = theatre.world.view()["calls"].clone();
    let left_out: Vec<_> = (0..3)
        .map(|at| calls[at]["connections"][0]["streams"]["media"]["framesLeftOut"].clone())
        .collect();
    assert!(left_out.contains(&json!(8)), "{left_out:?}");
}
