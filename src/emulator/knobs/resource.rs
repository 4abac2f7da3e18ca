//! `[emulator.resource]`: which Communication Services resource is pretended.

use super::kinds::ANY;
use super::table;

table! { "resource", config => config;
    identity_prefix, ANY,
        "Identities whose raw id begins with this belong to the resource: they raise IncomingCall.",
        "Every identity counts as ours unless a resource id is added to the prefix.";
    resource_id, ANY,
        "GUID of the resource, a part of the identities that it hands out.",
        "Every resource has its own.";
    numbers, ANY,
        "Numbers (E.164) of the resource. A number that was called from the far end is one, too.",
        "Every resource has its own.";
    any_number, ANY,
        "Whether every number counts as one of the resource.",
        "Then dialling any number raises IncomingCall.";
    topic, ANY,
        "Event Grid topic: the resource's ARM path.",
        "Every resource has its own.";
    issuer, ANY,
        "iss of the callback tokens.",
        "The public cloud's; other clouds differ.";
    audience, ANY,
        "aud of the callback tokens: the immutable id of the resource.",
        "Every resource has its own.";
}
