//! Whether an event passes.

use serde_json::Value;

use super::{Advanced, Filter, Miss, Operand, Operator, Subject, Unsaid, fold};

pub(super) fn miss(filter: &Filter, event: &Value, unsaid: Unsaid) -> Option<Miss> {
    if !type_fits(&filter.types, event) {
        return Some(Miss::Type);
    }
    if !filter.subject.fits(event) {
        return Some(Miss::Subject);
    }
    let holds = |advanced: &Advanced| advanced.holds(event, filter.on_arrays, unsaid);
    let index = filter.advanced.iter().position(|advanced| !holds(advanced))?;
    filter.advanced.get(index).map(|found| Miss::Advanced { index, operator: found.operator })
}

/// The type stands under another name in each schema.
fn type_fits(types: &[String], event: &Value) -> bool {
    if types.is_empty() {
        return true;
    }
    let kind = event.get("eventType").or_else(|| event.get("type")).and_then(Value::as_str);
    kind.map(fold).is_some_and(|kind| types.contains(&kind))
}

impl Subject {
    fn fits(&self, event: &Value) -> bool {
        if self.begins.is_empty() && self.ends.is_empty() {
            return true;
        }
        let subject = event.get("subject").and_then(Value::as_str).unwrap_or_default();
        let seen = if self.case_sensitive { subject.to_owned() } else { fold(subject) };
        seen.starts_with(&self.begins) && seen.ends_with(&self.ends)
    }
}

impl Advanced {
    fn holds(&self, event: &Value, on_arrays: bool, unsaid: Unsaid) -> bool {
        let found = find(event, &self.path);
        match self.operator {
            Operator::IsNullOrUndefined => return found.is_none_or(Value::is_null),
            Operator::IsNotNull => return found.is_some_and(|value| !value.is_null()),
            _ => {}
        }
        let hit = match found {
            Some(Value::Array(elements)) if on_arrays => {
                Some(elements.iter().any(|element| self.fits(element) == Some(true)))
            }
            Some(value) => self.fits(value),
            None => None,
        };
        match hit {
            Some(hit) => hit != self.operator.is_negative(),
            None if self.operator == Operator::NumberNotInRange => unsaid.not_in_range_without_key,
            None => self.operator.passes_when_missing(),
        }
    }

    /// Whether the comparison behind the operator finds a hit, before any negation. `None` when the
    /// value is of another type than the operator's.
    fn fits(&self, value: &Value) -> Option<bool> {
        match &self.operand {
            Operand::Nothing => None,
            Operand::Bool(wanted) => value.as_bool().map(|seen| seen == *wanted),
            Operand::Number(limit) => {
                value.as_f64().map(|seen| self.operator.compares(seen, *limit))
            }
            Operand::Numbers(wanted) => value.as_f64().map(|seen| wanted.contains(&seen)),
            Operand::Ranges(ranges) => value
                .as_f64()
                .map(|seen| ranges.iter().any(|(low, high)| (*low..=*high).contains(&seen))),
            Operand::Texts(wanted) => value.as_str().map(fold).map(|seen| {
                wanted.iter().any(|wanted| self.operator.compares_texts(&seen, wanted))
            }),
        }
    }
}

impl Operator {
    fn compares(self, seen: f64, limit: f64) -> bool {
        match self {
            Self::NumberLessThan => seen < limit,
            Self::NumberLessThanOrEquals => seen <= limit,
            Self::NumberGreaterThan => seen > limit,
            Self::NumberGreaterThanOrEquals => seen >= limit,
            _ => false,
        }
    }

    fn compares_texts(self, seen: &str, wanted: &str) -> bool {
        match self {
            Self::StringIn | Self::StringNotIn => seen == wanted,
            Self::StringBeginsWith | Self::StringNotBeginsWith => seen.starts_with(wanted),
            Self::StringEndsWith | Self::StringNotEndsWith => seen.ends_with(wanted),
            Self::StringContains | Self::StringNotContains => seen.contains(wanted),
            _ => false,
        }
    }
}

/// Walks down the members of a path. Azure's own example spells a member in another case than its
/// wire does, so the exact spelling is only preferred, not needed.
pub(super) fn find<'a>(event: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(event, |value, name| {
        let members = value.as_object()?;
        members.get(name).or_else(|| {
            let wanted = fold(name);
            members.iter().find(|(member, _)| fold(member) == wanted).map(|(_, value)| value)
        })
    })
}
