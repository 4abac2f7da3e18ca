//! Forwarding events to the URLs that callers of the gateway gave: where, how often, and until when.
//!
//! The callback URL that the call service gets from us says itself where its events are to go. So an
//! event that is quicker than the answer to its request, or that comes after a restart or at another
//! node, is forwarded all the same. The target is signed: nobody can make us post elsewhere.
//!
//! Owns the arithmetic: targets, their proof, and the pauses between attempts.

mod queues;
mod replay;

use core::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::gateway::BadCallback;
use super::signing::AccessKey;
use super::time::Tick;

pub use queues::{ForwardEffect, ForwardLimits, Forwards, Owed, QueueId};
pub use replay::{ForwardReplay, Restored};

/// The member of our callback URL's query that says where to forward.
pub const TARGET_PARAMETER: &str = "to";

/// Longer URLs of callers are refused: ours holds them, and URLs have limits.
const MAX_URL_BYTES: usize = 2_048;

/// Makes and reads the targets in our callback URLs.
pub struct Targets {
    /// Our own callback URL, with its secret.
    callback_url: String,
    key: AccessKey,
    allow_link_local: bool,
}

impl Targets {
    /// For one callback URL. `secret` is what nobody but us and the call service knows.
    pub fn new(callback_url: &str, secret: &str, allow_link_local: bool) -> Self {
        let callback_url = callback_url.to_owned();
        Self { callback_url, key: AccessKey::of_bytes(secret.as_bytes()), allow_link_local }
    }

    /// Our callback URL, from which events are forwarded to `target`.
    ///
    /// # Errors
    /// [`BadCallback`] when nothing can be posted there.
    pub fn callback(&self, target: Option<&str>) -> Result<String, BadCallback> {
        let Some(target) = target else { return Ok(self.callback_url.clone()) };
        self.check(target)?;
        let mark = if self.callback_url.contains('?') { '&' } else { '?' };
        let (text, proof) = (URL_SAFE_NO_PAD.encode(target), self.proof(target));
        Ok(format!("{}{mark}{TARGET_PARAMETER}={text}.{proof}", self.callback_url))
    }

    /// The target that a value of [`TARGET_PARAMETER`] stands for; `None` for one that is not ours.
    pub fn read(&self, value: &str) -> Option<String> {
        let (text, proof) = value.split_once('.')?;
        let target = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let proof = URL_SAFE_NO_PAD.decode(proof).ok()?;
        self.key.is_signature(&target, &proof).then_some(target)
    }

    fn proof(&self, target: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.signature(target))
    }

    fn check(&self, target: &str) -> Result<(), BadCallback> {
        if target.len() > MAX_URL_BYTES {
            return Err(BadCallback::TooLong);
        }
        let host = host(target).ok_or(BadCallback::NotAUrl)?;
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if is_link_local(address) && !self.allow_link_local => {
                Err(BadCallback::Forbidden)
            }
            _ => Ok(()),
        }
    }
}

/// The host of an absolute http or https URL.
fn host(url: &str) -> Option<&str> {
    let rest = match url.split_once("://")? {
        (scheme, rest) if scheme.eq_ignore_ascii_case("https") => rest,
        (scheme, rest) if scheme.eq_ignore_ascii_case("http") => rest,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host_and_port = authority.rsplit('@').next()?;
    let host = match host_and_port.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host_and_port,
    };
    let plain = !host.is_empty() && !url.contains(|c: char| c.is_whitespace() || c.is_control());
    plain.then_some(host)
}

/// Addresses that a machine's own surroundings answer at, such as the metadata services of clouds.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
                || address == AWS_METADATA
        }
    }
}

/// A metadata service with an address outside of the link-local block.
const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// How patiently events are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The pause after the first attempt, doubled for each one that follows.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// An event that cannot be forwarded for so long is given up.
    pub give_up_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            give_up_after: Duration::from_secs(3_600),
        }
    }
}

/// What became of posting an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The receiver answered with this status.
    Answered(u16),
    /// Nobody answered.
    Unanswered,
    /// Its host may not be posted to.
    Forbidden,
}

impl Posted {
    /// A word for metric labels and dead letters; a closed set.
    pub fn label(self) -> &'static str {
        match self {
            Self::Answered(200..=299) => "delivered",
            Self::Answered(_) => "refused",
            Self::Unanswered => "unanswered",
            Self::Forbidden => "forbidden",
        }
    }
}

/// What to do with an event after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has arrived.
    Done,
    /// Once more, after this time.
    Again(Duration),
    /// It will not arrive.
    GiveUp,
}

impl Patience {
    /// After `made` attempts, of which the last one ended so at `now`, for an event that came at `since`.
    pub fn next(&self, posted: Posted, made: u32, since: Tick, now: Tick) -> Next {
        match posted {
            Posted::Answered(200..=299) => return Next::Done,
            // It was read and will never be taken; the same again would be read the same way.
            Posted::Answered(400 | 410 | 413 | 422) | Posted::Forbidden => return Next::GiveUp,
            Posted::Answered(_) | Posted::Unanswered => {}
        }
        let doubled = 2_u32.saturating_pow(made.saturating_sub(1).min(20));
        let pause = self.first_pause.saturating_mul(doubled).min(self.longest_pause);
        if now + pause >= since + self.give_up_after { Next::GiveUp } else { Next::Again(pause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        Targets::new("https://ours.example/webhooks/calls?key=s", "s", false)
    }

    fn parameter(url: &str) -> &str {
        url.split_once("&to=").expect("a target").1
    }

    #[test]
    fn a_callback_url_knows_where_its_events_go() {
        let target = "https://app.example:444/events?who=a%2Bb&x=ü";
        let url = targets().callback(Some(target)).expect("fine");
        assert!(url.starts_with("https://ours.example/webhooks/calls?key=s&to="), "{url}");
        assert!(url.is_ascii());
        assert_eq!(targets().read(parameter(&url)).as_deref(), Some(target));
        let without = targets().callback(None);
        assert_eq!(without.as_deref(), Ok("https://ours.example/webhooks/calls?key=s"));
        let plain = Targets::new("https://ours.example/c", "s", false);
        assert!(
            plain
                .callback(Some("http://a"))
                .expect("fine")
                .starts_with("https://ours.example/c?to=")
        );
    }

    #[test]
    fn nobody_else_can_say_where_events_go() {
        let url = targets().callback(Some("https://app.example/")).expect("fine");
        let (text, proof) = parameter(&url).split_once('.').expect("two parts");
        let other = URL_SAFE_NO_PAD.encode("https://evil.example/");
        for forged in
            [format!("{other}.{proof}"), format!("{text}."), text.to_owned(), String::new()]
        {
            assert_eq!(targets().read(&forged), None, "{forged}");
        }
        let of_others = Targets::new("https://ours.example/webhooks/calls?key=s", "t", false);
        assert_eq!(of_others.read(parameter(&url)), None);
    }

    #[test]
    fn targets_are_urls_of_hosts_outside_of_the_machines_surroundings() {
        for fine in [
            "http://app",
            "https://app.example/x",
            "HTTPS://a:1",
            "http://127.0.0.1:9/",
            "http://[::1]:9",
            "http://10.0.0.1",
        ] {
            assert!(targets().callback(Some(fine)).is_ok(), "{fine}");
        }
        for bad in [
            "",
            "app.example",
            "ftp://a",
            "https://",
            "https:///x",
            "http://:80/",
            "http://a b/",
            "http://a/\n",
        ] {
            assert_eq!(targets().callback(Some(bad)), Err(BadCallback::NotAUrl), "{bad}");
        }
        for surroundings in [
            "http://169.254.169.254/latest",
            "http://u@169.254.1.1:80",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]",
            "http://[fd00:ec2::254]/",
        ] {
            assert_eq!(
                targets().callback(Some(surroundings)),
                Err(BadCallback::Forbidden),
                "{surroundings}"
            );
            let allowed = Targets::new("https://o/", "s", true);
            assert!(allowed.callback(Some(surroundings)).is_ok());
        }
        let long = format!("https://a/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(targets().callback(Some(&long)), Err(BadCallback::TooLong));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let patience = Patience::default();
        let pause = |made| match patience.next(Posted::Unanswered, made, Tick(0), Tick(0)) {
            Next::Again(pause) => pause.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!([1, 2, 3, 6, 7, 50].map(pause), [1, 2, 4, 32, 60, 60]);
        let late = Tick(0) + (patience.give_up_after - Duration::from_secs(1));
        assert_eq!(patience.next(Posted::Answered(503), 1, Tick(0), late), Next::GiveUp);
        assert_eq!(patience.next(Posted::Answered(204), 1, Tick(0), late), Next::Done);
        for final_answer in [400, 410, 413, 422] {
            let next = patience.next(Posted::Answered(final_answer), 1, Tick(0), Tick(0));
            assert_eq!(next, Next::GiveUp, "{final_answer}");
        }
        for passing in [401, 403, 404, 408, 429, 500, 301] {
            let next = patience.next(Posted::Answered(passing), 1, Tick(0), Tick(0));
            assert_eq!(next, Next::Again(patience.first_pause), "{passing}");
        }
    }
}
