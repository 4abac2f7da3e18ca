//! Ids as Azure writes them, from a seed: the same seed gives the same ids in the same order.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use uuid::{Builder, Uuid};

use crate::wire::identifiers::{
    CallConnectionId, CorrelationId, IncomingCallContext, RawId, ServerCallId,
};

/// A generator of ids (SplitMix64 inside: any seed is as good as any other).
pub struct Ids(u64);

impl Ids {
    /// Starts at a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but not including, 1.
    pub fn fraction(&mut self) -> f64 {
        let drawn = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(drawn) / (f64::from(u32::MAX) + 1.0)
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> Uuid {
        let (high, low) = (self.next(), self.next());
        Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
            .into_uuid()
    }

    /// A UUID as text.
    pub fn guid(&mut self) -> String {
        self.uuid().to_string()
    }

    /// The application's leg of a call.
    pub fn connection(&mut self) -> CallConnectionId {
        CallConnectionId::new(self.guid())
    }

    /// A correlation id.
    pub fn correlation(&mut self) -> CorrelationId {
        CorrelationId::new(self.guid())
    }

    /// A call: base64 of a URL.
    pub fn server_call(&mut self) -> ServerCallId {
        let conversation = URL_SAFE_NO_PAD.encode(self.uuid().as_bytes());
        let url = format!(
            "https://api.emulator.test/api/v2/cp/conv-emulator-01.conv.emulator.test/conv/{conversation}?i=10-60-4-91&e={}",
            self.next()
        );
        ServerCallId::new(STANDARD.encode(url))
    }

    /// The ticket of a ringing call: three dotted parts, the last one empty.
    pub fn ticket(&mut self) -> IncomingCallContext {
        let secret: Vec<u8> = (0..12).flat_map(|_| self.next().to_be_bytes()).collect();
        let payload = serde_json::json!({ "cc": STANDARD.encode(secret) }).to_string();
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        IncomingCallContext::new(format!("{header}.{}.", URL_SAFE_NO_PAD.encode(payload)))
    }

    /// An identity of the resource.
    pub fn identity(&mut self, resource: &str) -> RawId {
        RawId::new(format!("8:acs:{resource}_{}", self.guid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let ids = |seed| {
            let mut ids = Ids::from_seed(seed);
            (ids.guid(), ids.server_call(), ids.ticket(), ids.identity("r"))
        };
        assert!(ids(1) == ids(1));
        assert!(ids(1) != ids(2));
        assert_eq!(Ids::from_seed(7).uuid().get_version_num(), 4);
    }

    #[test]
    fn a_ticket_is_long_and_has_three_parts_of_which_the_last_is_empty() {
        let ticket = Ids::from_seed(3).ticket();
        let parts: Vec<_> = ticket.as_str().split('.').collect();
        assert!(ticket.as_str().len() > 100);
        assert_eq!((parts.len(), parts[2]), (3, ""));
    }
}
