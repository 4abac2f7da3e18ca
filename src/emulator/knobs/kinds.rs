//! The kinds of value that a setting can have, and how each is written in TOML.

use std::time::Duration;

use toml::Value;

use crate::emulator::call_config::{
    EmptiedCall, EndedCall, Impossible, UsedTicket, VoipToTelephone,
};
use crate::emulator::config::{BusyLeg, DeliveryOrigin, Unanswered};
use crate::emulator::recording_config::Shape;
use crate::emulator::stream_config::LostSocket;

/// The unit of times; their names end in `_ms`.
pub const MILLISECONDS: &str = "ms";

/// What numbers are possible; texts and flags know no bounds.
#[derive(Clone, Copy)]
pub struct Bounds(u64, u64);

/// From `least` to `most`, both included.
pub const fn within(least: u64, most: u64) -> Bounds {
    Bounds(least, most)
}

/// For what has no bounds.
pub const ANY: Bounds = within(0, u64::MAX);

/// A minute and an hour in milliseconds.
pub const MINUTE: u64 = 60_000;
/// See [`MINUTE`].
pub const HOUR: u64 = 60 * MINUTE;
/// As many as anybody could want.
pub const MANY: u64 = 10_000_000;

/// A kind of value.
pub trait Kind: Sized {
    /// How it is measured.
    const UNIT: &'static str;
    /// As TOML.
    fn show(&self) -> Value;
    /// From TOML.
    ///
    /// # Errors
    /// What to choose instead.
    fn read(value: &Value, bounds: Bounds) -> Result<Self, String>;
}

pub fn unit<T: Kind>(_: &T) -> &'static str {
    T::UNIT
}

pub fn show<T: Kind>(it: &T) -> Value {
    it.show()
}

pub fn put<T: Kind>(it: &mut T, value: &Value, bounds: Bounds) -> Result<(), String> {
    *it = T::read(value, bounds)?;
    Ok(())
}

fn whole(value: &Value, Bounds(least, most): Bounds) -> Result<u64, String> {
    let found = value.as_integer().ok_or("must be a whole number")?;
    let number = u64::try_from(found).ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("is {found}; choose something from {least} to {most}"))
}

fn integer(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

impl Kind for Duration {
    const UNIT: &'static str = MILLISECONDS;
    fn show(&self) -> Value {
        integer(self.as_millis())
    }
    fn read(value: &Value, bounds: Bounds) -> Result<Self, String> {
        whole(value, bounds).map(Self::from_millis)
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl Kind for $kind {
            const UNIT: &'static str = "number";
            fn show(&self) -> Value {
                integer(*self)
            }
            fn read(value: &Value, bounds: Bounds) -> Result<Self, String> {
                let most = format!("is too much; choose at most {}", <$kind>::MAX);
                whole(value, bounds)?.try_into().map_err(|_| most)
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, usize);

impl Kind for f64 {
    const UNIT: &'static str = "number";
    fn show(&self) -> Value {
        Value::Float(*self)
    }
    fn read(value: &Value, Bounds(least, most): Bounds) -> Result<Self, String> {
        let whole = value.as_integer().map(|whole| whole as f64);
        let found = value.as_float().or(whole).ok_or("must be a number")?;
        let range = least as f64..=most as f64;
        let out = || format!("is {found}; choose something from {least} to {most}");
        range.contains(&found).then_some(found).ok_or_else(out)
    }
}

impl Kind for bool {
    const UNIT: &'static str = "true or false";
    fn show(&self) -> Value {
        Value::Boolean(*self)
    }
    fn read(value: &Value, _: Bounds) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "must be true or false".to_owned())
    }
}

impl Kind for String {
    const UNIT: &'static str = "text";
    fn show(&self) -> Value {
        Value::String(self.clone())
    }
    fn read(value: &Value, _: Bounds) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| "must be a text in quotes".to_owned())
    }
}

impl Kind for Vec<String> {
    const UNIT: &'static str = "texts";
    fn show(&self) -> Value {
        Value::Array(self.iter().cloned().map(Value::String).collect())
    }
    fn read(value: &Value, _: Bounds) -> Result<Self, String> {
        let item = |item: &Value| item.as_str().map(str::to_owned);
        let items = value.as_array().and_then(|items| items.iter().map(item).collect());
        items.ok_or_else(|| "must be an array of texts".to_owned())
    }
}

impl Kind for Vec<Duration> {
    const UNIT: &'static str = MILLISECONDS;
    fn show(&self) -> Value {
        Value::Array(self.iter().map(Kind::show).collect())
    }
    fn read(value: &Value, bounds: Bounds) -> Result<Self, String> {
        let items = value.as_array().filter(|items| !items.is_empty());
        let items = items.ok_or("must be an array of whole numbers that is not empty")?;
        items.iter().map(|item| Duration::read(item, bounds)).collect()
    }
}

/// `false` stands for nothing.
impl<T: Kind> Kind for Option<T> {
    const UNIT: &'static str = T::UNIT;
    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Boolean(false), Kind::show)
    }
    fn read(value: &Value, bounds: Bounds) -> Result<Self, String> {
        match value {
            Value::Boolean(false) => Ok(None),
            given => T::read(given, bounds).map(Some).map_err(|fault| format!("{fault}, or false")),
        }
    }
}

/// `code/subCode`, as `explain-code` takes them.
impl Kind for (i32, i32) {
    const UNIT: &'static str = "code/subCode";
    fn show(&self) -> Value {
        Value::String(format!("{}/{}", self.0, self.1))
    }
    fn read(value: &Value, _: Bounds) -> Result<Self, String> {
        let parts = value.as_str().and_then(|text| text.split_once('/'));
        let codes = parts.and_then(|(code, sub)| Some((code.parse().ok()?, sub.parse().ok()?)));
        codes.ok_or_else(|| "must be a code and a sub-code, such as \"400/8510\"".to_owned())
    }
}

/// Kinds that are one of a few words.
macro_rules! words {
    ($kind:ty, $unit:literal, $($word:literal => $variant:path),* $(,)?) => {
        impl Kind for $kind {
            const UNIT: &'static str = $unit;
            fn show(&self) -> Value {
                Value::String(match self { $($variant => $word,)* }.to_owned())
            }
            fn read(value: &Value, _: Bounds) -> Result<Self, String> {
                match value.as_str() {
                    $(Some($word) => Ok($variant),)*
                    _ => Err(concat!("must be ", $unit).to_owned()),
                }
            }
        }
    };
}

words!(Unanswered, "\"told\" or \"silent\"",
    "told" => Unanswered::Told, "silent" => Unanswered::Silent);
words!(Impossible, "\"refused\" or \"failed\"",
    "refused" => Impossible::Refused, "failed" => Impossible::Failed);
words!(EmptiedCall, "\"ends\" or \"stays\"",
    "ends" => EmptiedCall::Ends, "stays" => EmptiedCall::Stays);
words!(VoipToTelephone, "\"refused\", \"withNumber\" or \"supported\"",
    "refused" => VoipToTelephone::Refused, "withNumber" => VoipToTelephone::WithNumber,
    "supported" => VoipToTelephone::Supported);
words!(EndedCall, "\"404/8522\", \"400/8501\", \"400/8528\" or \"400/8585\"",
    "404/8522" => EndedCall::NotFound, "400/8501" => EndedCall::Code8501,
    "400/8528" => EndedCall::Code8528, "400/8585" => EndedCall::Code8585);
words!(UsedTicket, "\"404/8522\", \"400/8501\" or \"409/8519\"",
    "404/8522" => UsedTicket::NotFound, "400/8501" => UsedTicket::WrongState,
    "409/8519" => UsedTicket::Conflict);
words!(LostSocket, "\"failed\", \"stopped\" or \"reconnected\"",
    "failed" => LostSocket::Failed, "stopped" => LostSocket::Stopped,
    "reconnected" => LostSocket::Reconnected);
words!(Shape,
    "\"audioVideo/mixed/mp4\", \"audio/mixed/mp3\", \"audio/mixed/wav\" or \"audio/unmixed/wav\"",
    "audioVideo/mixed/mp4" => Shape::Video, "audio/mixed/mp3" => Shape::Mp3,
    "audio/mixed/wav" => Shape::Wav, "audio/unmixed/wav" => Shape::Unmixed);
words!(DeliveryOrigin, "\"webHookRequestOrigin\", \"origin\" or \"neither\"",
    "webHookRequestOrigin" => DeliveryOrigin::WebHookRequestOrigin,
    "origin" => DeliveryOrigin::Origin, "neither" => DeliveryOrigin::Neither);
words!(BusyLeg, "\"400/8501\" or \"409/8519\"",
    "400/8501" => BusyLeg::WrongState, "409/8519" => BusyLeg::Conflict);
