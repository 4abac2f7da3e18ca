//! Identifiers as Azure writes them, each in a type of its own.
//!
//! Owns the textual ids and the `CommunicationIdentifierModel`. Everything that could identify a
//! person or open a door (numbers, raw ids, contexts) shows itself only partly in `Debug`, so that it
//! cannot reach a log line by accident. `as_str` gives the real thing to whoever has to send it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// Declares a cheap-to-clone text id. `open` ids may be logged, `closed` ones redact themselves.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, open) => {
        text_id!(@body $(#[$doc])* $name);
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, closed) => {
        text_id!(@body $(#[$doc])* $name);
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", last_two(&self.0))
            }
        }
    };
    (@body $(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; Azure's ids are opaque and are never normalised.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text as Azure wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// `…` and the last two characters: enough to tell two apart in a log, too little to dial.
fn last_two(text: &str) -> String {
    let mut tail: Vec<char> = text.chars().rev().take(2).collect();
    tail.reverse();
    if text.chars().count() <= 4 {
        return "…".to_owned();
    }
    format!("…{}", tail.into_iter().collect::<String>())
}

text_id!(
    /// The application's leg of a call; GUID-like, opaque.
    CallConnectionId, open
);
text_id!(
    /// The call itself, shared by all its legs; base64 of a URL, may hold `/`, `+` and `=`.
    ServerCallId, open
);
text_id!(
    /// Azure's log correlation id, shared by the legs of a call.
    CorrelationId, open
);
text_id!(
    /// What the caller of an operation wrote to find its events again. Theirs, so never logged.
    OperationContext, closed
);
text_id!(
    /// The ticket with which a ringing call is answered, redirected or rejected, once.
    IncomingCallContext, closed
);
text_id!(
    /// `4:+1425…`, `8:acs:…`, `28:orgid:…`: the one text on which identifiers are compared.
    RawId, closed
);

impl RawId {
    /// The raw id of a telephone number in E.164 form (`+14255551212`).
    pub fn of_number(e164: &str) -> Self {
        Self::new(format!("4:{e164}"))
    }

    /// The E.164 number inside, when this is a telephone number and not an anonymous one.
    /// An asserted-id suffix (`4:+1425…_<id>`) is left out.
    pub fn number(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("4:")?;
        let number = rest.split_once('_').map_or(rest, |(number, _)| number);
        number.starts_with('+').then_some(number)
    }

    /// Whether the caller hides the number (`4:anonymous`).
    pub fn is_anonymous(&self) -> bool {
        self.0.eq_ignore_ascii_case("4:anonymous")
    }
}

/// Which of Azure's kinds an identifier is of. Open: new kinds are kept as `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum IdentifierKind {
    /// A telephone number.
    PhoneNumber,
    /// An identity of the communication resource.
    CommunicationUser,
    /// A Teams user or visitor.
    MicrosoftTeamsUser,
    /// A Teams application (bot, resource account).
    MicrosoftTeamsApp,
    /// A Teams user reached through the resource.
    TeamsExtensionUser,
    /// Anything else: only the raw id is known.
    Unknown,
}

impl IdentifierKind {
    /// Derives the kind from a raw id, by the prefixes that Azure documents.
    pub fn of_raw_id(raw: &str) -> Self {
        let acs = ["8:acs:", "8:dod-acs:", "8:gcch-acs:", "8:spool:"];
        let teams = ["8:orgid:", "8:dod:", "8:gcch:", "8:teamsvisitor:"];
        let apps = ["28:orgid:", "28:dod:", "28:gcch:"];
        if raw.starts_with("4:") {
            Self::PhoneNumber
        } else if let Some(rest) = acs.iter().find_map(|prefix| raw.strip_prefix(prefix)) {
            if rest.matches('_').count() >= 2 {
                Self::TeamsExtensionUser
            } else {
                Self::CommunicationUser
            }
        } else if teams.iter().any(|prefix| raw.starts_with(prefix)) {
            Self::MicrosoftTeamsUser
        } else if apps.iter().any(|prefix| raw.starts_with(prefix)) {
            Self::MicrosoftTeamsApp
        } else {
            Self::Unknown
        }
    }
}

/// Somebody in a call: Azure's `CommunicationIdentifierModel`.
///
/// Reading is liberal: `kind` may be missing, in any case, or unknown; `rawId` may be missing when a
/// nested model says who it is. Writing is strict: `kind`, `rawId` and the nested model, always equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    raw_id: RawId,
}

impl Identifier {
    /// From a raw id (`4:+14255551212`, `8:acs:…`).
    pub fn from_raw_id(raw: impl Into<RawId>) -> Self {
        Self { raw_id: raw.into() }
    }

    /// A telephone number in E.164 form.
    pub fn phone(e164: &str) -> Self {
        Self::from_raw_id(RawId::of_number(e164))
    }

    /// From what people type: `+1425…` is a number, anything else a raw id.
    pub fn parse(text: &str) -> Self {
        if text.starts_with('+') { Self::phone(text) } else { Self::from_raw_id(text) }
    }

    /// The text on which identifiers are compared.
    pub fn raw_id(&self) -> &RawId {
        &self.raw_id
    }

    /// The kind, derived from the raw id.
    pub fn kind(&self) -> IdentifierKind {
        IdentifierKind::of_raw_id(self.raw_id.as_str())
    }
}

/// The nested models, as they are read and written.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct IdentifierShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    kind: Option<IdentifierKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<PhoneNumberShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    communication_user: Option<CommunicationUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    microsoft_teams_user: Option<TeamsUserShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    microsoft_teams_app: Option<TeamsAppShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teams_extension_user: Option<TeamsExtensionUserShape>,
}

/// Azure's `CommunicationUserIdentifierModel`: the bare `{"id"}` of `source` and `answeredBy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommunicationUser {
    /// The whole raw id.
    pub id: RawId,
}

/// Azure's `PhoneNumberIdentifierModel`: `{"value"}`, with or without `isAnonymous`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumber {
    /// E.164, or `anonymous`.
    pub value: RedactedText,
}

impl PhoneNumber {
    /// A number in E.164 form.
    pub fn new(e164: impl Into<RedactedText>) -> Self {
        Self { value: e164.into() }
    }
}

text_id!(
    /// Text that must not appear in logs: numbers, names, keys pressed.
    RedactedText, closed
);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhoneNumberShape {
    value: String,
    #[serde(
        default,
        deserialize_with = "null_is_false",
        skip_serializing_if = "std::ops::Not::not"
    )]
    is_anonymous: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asserted_id: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TeamsUserShape {
    user_id: String,
    #[serde(default, deserialize_with = "null_is_false")]
    is_anonymous: bool,
    #[serde(default)]
    cloud: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TeamsAppShape {
    app_id: String,
    #[serde(default)]
    cloud: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TeamsExtensionUserShape {
    user_id: String,
    tenant_id: String,
    resource_id: String,
    #[serde(default)]
    cloud: Option<String>,
}

fn null_is_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// `public`, `dod` or `gcch`, told by the prefix of a raw id.
fn cloud_of(raw: &str) -> &'static str {
    if raw.contains(":dod") {
        "dod"
    } else if raw.contains(":gcch") {
        "gcch"
    } else {
        "public"
    }
}

impl IdentifierShape {
    /// The raw id, given or put together from the nested model (for the public cloud's prefixes
    /// unless `cloud` says otherwise).
    fn into_raw_id(self) -> Option<String> {
        let given = self.raw_id.filter(|raw| !raw.is_empty());
        given
            .or_else(|| {
                let phone = self.phone_number?;
                let anonymous = phone.is_anonymous || phone.value == "anonymous";
                let value = if anonymous { "anonymous" } else { phone.value.as_str() };
                let asserted = phone.asserted_id.map(|id| format!("_{id}")).unwrap_or_default();
                (!value.is_empty()).then(|| format!("4:{value}{asserted}"))
            })
            .or_else(|| self.communication_user.map(|user| user.id.as_str().to_owned()))
            .or_else(|| {
                let user = self.microsoft_teams_user?;
                let prefix = match (user.is_anonymous, cloud(user.cloud.as_deref())) {
                    (true, _) => "8:teamsvisitor:",
                    (false, "dod") => "8:dod:",
                    (false, "gcch") => "8:gcch:",
                    (false, _) => "8:orgid:",
                };
                Some(format!("{prefix}{}", user.user_id))
            })
            .or_else(|| {
                let app = self.microsoft_teams_app?;
                let prefix = match cloud(app.cloud.as_deref()) {
                    "dod" => "28:dod:",
                    "gcch" => "28:gcch:",
                    _ => "28:orgid:",
                };
                Some(format!("{prefix}{}", app.app_id))
            })
            .or_else(|| {
                let user = self.teams_extension_user?;
                let prefix = match cloud(user.cloud.as_deref()) {
                    "dod" => "8:dod-acs:",
                    "gcch" => "8:gcch-acs:",
                    _ => "8:acs:",
                };
                Some(format!("{prefix}{}_{}_{}", user.resource_id, user.tenant_id, user.user_id))
            })
            .filter(|raw| !raw.is_empty())
    }

    fn of(identifier: &Identifier) -> Self {
        let raw = identifier.raw_id.as_str();
        let kind = identifier.kind();
        let tail = |skip: usize| raw.splitn(skip + 1, ':').nth(skip).unwrap_or(raw).to_owned();
        let mut shape = Self { raw_id: Some(raw.to_owned()), kind: Some(kind), ..Self::default() };
        let cloud = Some(cloud_of(raw).to_owned());
        match kind {
            IdentifierKind::PhoneNumber => {
                let is_anonymous = identifier.raw_id.is_anonymous();
                let (value, asserted) = match tail(1).split_once('_') {
                    Some((value, id)) => (value.to_owned(), Some(id.to_owned())),
                    None => (tail(1), None),
                };
                shape.phone_number =
                    Some(PhoneNumberShape { value, is_anonymous, asserted_id: asserted });
            }
            IdentifierKind::CommunicationUser => {
                shape.communication_user =
                    Some(CommunicationUser { id: identifier.raw_id.clone() });
            }
            IdentifierKind::MicrosoftTeamsUser => {
                shape.microsoft_teams_user = Some(TeamsUserShape {
                    user_id: tail(2),
                    is_anonymous: raw.starts_with("8:teamsvisitor:"),
                    cloud,
                });
            }
            IdentifierKind::MicrosoftTeamsApp => {
                shape.microsoft_teams_app = Some(TeamsAppShape { app_id: tail(2), cloud });
            }
            IdentifierKind::TeamsExtensionUser => {
                let parts = tail(2);
                let mut parts = parts.splitn(3, '_').map(str::to_owned);
                let mut next = || parts.next().unwrap_or_default();
                shape.teams_extension_user = Some(TeamsExtensionUserShape {
                    resource_id: next(),
                    tenant_id: next(),
                    user_id: next(),
                    cloud,
                });
            }
            IdentifierKind::Unknown => {}
        }
        shape
    }
}

/// Clouds come in any case (`PUBLIC` from the Python SDK).
fn cloud(given: Option<&str>) -> &'static str {
    match given.map(str::to_ascii_lowercase).as_deref() {
        Some("dod") => "dod",
        Some("gcch") => "gcch",
        _ => "public",
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IdentifierShape::deserialize(deserializer)?.into_raw_id().map(Self::from_raw_id).ok_or_else(
            || serde::de::Error::custom("an identifier needs a rawId or a nested model"),
        )
    }
}

impl Serialize for Identifier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        IdentifierShape::of(self).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(json: &str, raw: &str) {
        let identifier: Identifier = serde_json::from_str(json).expect("an identifier");
        assert_eq!(identifier.raw_id().as_str(), raw);
        let written = serde_json::to_string(&identifier).expect("writes");
        let again: Identifier = serde_json::from_str(&written).expect("reads its own writing");
        assert_eq!(again, identifier);
    }

    #[test]
    fn identifiers_are_read_with_and_without_kind_and_raw_id() {
        reads(r#"{"rawId":"4:+14255551212"}"#, "4:+14255551212");
        reads(r#"{"phoneNumber":{"value":"+14255551212","isAnonymous":false}}"#, "4:+14255551212");
        reads(r#"{"kind":"PhoneNumber","phoneNumber":{"value":"anonymous"}}"#, "4:anonymous");
        reads(r#"{"communicationUser":{"id":"8:acs:r_u"},"kind":null,"extra":1}"#, "8:acs:r_u");
        reads(r#"{"microsoftTeamsUser":{"userId":"u","cloud":"PUBLIC"}}"#, "8:orgid:u");
        reads(
            r#"{"rawId":null,"microsoftTeamsUser":{"userId":"u","isAnonymous":null,"cloud":"Dod"}}"#,
            "8:dod:u",
        );
        reads(r#"{"phoneNumber":{"value":"+1425","isAnonymous":null}}"#, "4:+1425");
        reads(r#"{"microsoftTeamsApp":{"appId":"a","cloud":"gcch"}}"#, "28:gcch:a");
        reads(
            r#"{"teamsExtensionUser":{"userId":"u","tenantId":"t","resourceId":"r"}}"#,
            "8:acs:r_t_u",
        );
        reads(r#"{"rawId":"99:something-new"}"#, "99:something-new");
    }

    #[test]
    fn identifiers_are_written_with_kind_raw_id_and_nested_model() {
        let written = serde_json::to_value(Identifier::phone("+14255551212")).unwrap();
        let wanted = serde_json::json!({
            "rawId": "4:+14255551212", "kind": "phoneNumber", "phoneNumber": {"value": "+14255551212"}
        });
        assert_eq!(written, wanted);
    }

    #[test]
    fn an_identifier_of_nobody_is_refused() {
        assert!(serde_json::from_str::<Identifier>("{}").is_err());
        assert!(serde_json::from_str::<Identifier>(r#"{"rawId":""}"#).is_err());
    }

    #[test]
    fn numbers_do_not_show_in_debug_output() {
        let identifier = Identifier::phone("+14255551212");
        assert_eq!(format!("{identifier:?}"), "Identifier { raw_id: …12 }");
        assert_eq!(format!("{:?}", OperationContext::new("vip")), "…");
    }

    #[test]
    fn a_raw_id_gives_its_number_without_the_asserted_id() {
        assert_eq!(RawId::new("4:+1425_7").number(), Some("+1425"));
        assert_eq!(RawId::new("4:anonymous").number(), None);
        assert_eq!(RawId::new("8:acs:x_y").number(), None);
    }
}
