//! What a wait or a subscription wants to hear.

use std::sync::Arc;

use super::event::Heard;
use crate::pure::filter::Filter;
use crate::wire::events::EventKind;
use crate::wire::identifiers::OperationContext;

/// A set of event types: some of the known ones as bits, others by name, or simply all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds {
    known: u64,
    named: Box<[EventKind]>,
}

impl Kinds {
    /// Every type, known or not.
    pub fn any() -> Self {
        Self { known: u64::MAX, named: Box::default() }
    }

    /// Exactly these.
    pub fn these<'a>(kinds: impl IntoIterator<Item = &'a EventKind>) -> Self {
        let (mut known, mut named) = (0, Vec::new());
        for kind in kinds {
            match kind.index() {
                Some(place) => known |= 1 << place,
                None => named.push(kind.clone()),
            }
        }
        Self { known, named: named.into() }
    }

    /// Whether every type is meant.
    pub fn is_any(&self) -> bool {
        self.known == u64::MAX
    }

    /// Whether this type is among them.
    pub fn has(&self, kind: &EventKind) -> bool {
        match kind.index() {
            _ if self.is_any() => true,
            Some(place) => self.known & (1 << place) != 0,
            // A stranger may be named short or full, as the known ones may.
            None => self.named.iter().any(|named| named.short_name() == kind.short_name()),
        }
    }

    /// The types, one by one; nothing for "any".
    pub fn iter(&self) -> impl Iterator<Item = &EventKind> {
        let listed = if self.is_any() { 0 } else { self.known };
        let known = EventKind::KNOWN.iter().enumerate();
        let known = known.filter(move |(place, _)| listed & (1 << place) != 0);
        known.map(|(_, kind)| kind).chain(&self.named)
    }
}

/// What a wait or a subscription wants: all of its conditions must hold (rule C4).
#[derive(Clone, Debug, PartialEq)]
pub struct Wants {
    /// The event's type is one of these.
    pub kinds: Kinds,
    /// The event's operationContext equals this, when given.
    pub context: Option<OperationContext>,
    /// The event passes this filter, when given.
    pub filter: Option<Arc<Filter>>,
}

/// One of the conditions of a [`Wants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// The event's type.
    Types,
    /// The event's operationContext.
    OperationContext,
    /// The filter.
    Filter,
}

impl Wants {
    /// Any event at all.
    pub fn any() -> Self {
        Self { kinds: Kinds::any(), context: None, filter: None }
    }

    /// An event of one of these types.
    pub fn kinds(kinds: &[EventKind]) -> Self {
        Self { kinds: Kinds::these(kinds), ..Self::any() }
    }

    /// … with this operationContext.
    #[must_use]
    pub fn context(mut self, context: OperationContext) -> Self {
        self.context = Some(context);
        self
    }

    /// … that passes this filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// Type and context, without the filter.
    pub fn suits(&self, kind: &EventKind, context: Option<&OperationContext>) -> bool {
        self.kinds.has(kind) && self.context_suits(context)
    }

    /// Whether the context condition holds.
    pub(super) fn context_suits(&self, context: Option<&OperationContext>) -> bool {
        self.context.is_none() || self.context.as_ref() == context
    }

    /// Whether the filter, if there is one, lets the event pass.
    pub fn passes_filter(&self, heard: &Heard) -> bool {
        self.filter.as_ref().is_none_or(|filter| {
            serde_json::from_str(&heard.event.raw).is_ok_and(|event| filter.matches(&event))
        })
    }

    /// Whether all conditions hold.
    pub fn matches(&self, heard: &Heard) -> bool {
        self.suits(&heard.event.kind, heard.event.context.as_ref()) && self.passes_filter(heard)
    }
}
