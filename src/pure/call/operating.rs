//! What happens to a call, told to its operations; and what they then want of the call.

use super::operations::Standing;
use super::{Call, Conclusion, Effect, Heard, Limits, NewOperation, OperationStatus};
use crate::pure::time::{Position, Tick};
use crate::wire::calling::Operation;

impl Call {
    /// Whether one more operation may be asked for.
    pub fn has_room_for_operation(&self, limits: &Limits) -> bool {
        self.operations.as_ref().is_none_or(|them| them.has_room(limits))
    }

    pub(super) fn begin(
        &mut self,
        now: Tick,
        of: Position,
        what: NewOperation,
        at_ms: i64,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) {
        self.stirred = now;
        let timeline = self.over.as_ref().map_or(&self.timeline, |over| over.timeline());
        let past = timeline
            .entries()
            .map(|entry| (entry.position, entry.kind.clone(), entry.context.clone()));
        let new = Standing {
            of,
            what,
            asked: now,
            asked_ms: at_ms,
            quiet: None,
            parts: Vec::new(),
            status: OperationStatus::Pending,
            ended: now,
            ambiguous: false,
            late: false,
        };
        let operations = self.operations.get_or_insert_default();
        conclude(operations.begin(new, past, limits), effects);
        if self.over.is_some() {
            conclude(operations.call_ended(now, None), effects);
        }
    }

    pub(super) fn accepted(&mut self, now: Tick, of: Position) {
        if let Some(operations) = &mut self.operations {
            operations.accepted(now, of);
        }
    }

    pub(super) fn name_operation(&mut self, of: Position, about: String) {
        if let Some(operations) = &mut self.operations {
            operations.named(of, about);
        }
    }

    /// The recordings that were begun by operations, as far as those are still kept.
    pub fn recordings(&self) -> impl Iterator<Item = &str> {
        let all = self.operations.iter().flat_map(|operations| operations.iter());
        let begun = all.filter(|one| one.what.operation == Operation::StartRecording);
        begun.filter_map(|one| one.what.about.as_deref())
    }

    pub(super) fn withdraw(&mut self, now: Tick, of: Position) {
        self.stirred = now;
        if let Some(operations) = &mut self.operations {
            operations.withdraw(of);
        }
    }

    pub(super) fn tell_operations(&mut self, now: Tick, heard: &Heard, effects: &mut Vec<Effect>) {
        if let Some(operations) = &mut self.operations {
            conclude(operations.hear(now, heard), effects);
        }
    }

    /// An operation of which nothing is heard is a reason to ask whether its call lives at all.
    pub(super) fn expire_operations(
        &mut self,
        now: Tick,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) {
        let Some(operations) = &mut self.operations else { return };
        let over = operations.expire(now, limits);
        let doubtful = |over: &Conclusion| over.status == OperationStatus::TimedOut;
        let never_asked = limits.verify_silent == std::time::Duration::MAX;
        let ask = !never_asked && over.iter().any(doubtful);
        conclude(over, effects);
        if ask {
            self.doubt(now);
            effects.push(Effect::Verify);
        }
    }

    pub(super) fn end_operations(
        &mut self,
        now: Tick,
        terminal: Option<&Heard>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(operations) = &mut self.operations {
            let terminal = terminal.map(|heard| heard.position);
            conclude(operations.call_ended(now, terminal), effects);
        }
    }
}

fn conclude(over: impl IntoIterator<Item = Conclusion>, effects: &mut Vec<Effect>) {
    effects.extend(over.into_iter().map(Effect::Concluded));
}
