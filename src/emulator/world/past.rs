//! Calls that are over and tickets that were used: known for a while, so that a late request can be
//! told what became of them.

use std::collections::{BTreeSet, VecDeque};

use super::{Refusal, World};
use crate::emulator::call_config::{EndedCall, UsedTicket};
use crate::wire::identifiers::{CallConnectionId, IncomingCallContext};

/// What is over.
#[derive(Default)]
pub(super) struct Past {
    calls: Recent<CallConnectionId>,
    tickets: Recent<IncomingCallContext>,
}

/// The latest of their kind.
struct Recent<T> {
    order: VecDeque<T>,
    known: BTreeSet<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { order: VecDeque::new(), known: BTreeSet::new() }
    }
}

impl<T: Clone + Ord> Recent<T> {
    fn add(&mut self, one: &T, limit: usize) {
        if self.known.insert(one.clone()) {
            self.order.push_back(one.clone());
        }
        while self.order.len() > limit {
            let Some(oldest) = self.order.pop_front() else { return };
            self.known.remove(&oldest);
        }
    }
}

impl World {
    /// Forgets a leg, but not that it was there.
    pub(super) fn forget_connection(
        &mut self,
        call: &CallConnectionId,
    ) -> Option<super::Connection> {
        let removed = self.connections.remove(call)?;
        self.past.calls.add(call, self.config.limits.past);
        Some(removed)
    }

    pub(super) fn ticket_used(&mut self, ticket: &IncomingCallContext) {
        self.past.tickets.add(ticket, self.config.limits.past);
    }

    /// Why an operation on a leg that is not there is refused.
    pub(super) fn no_connection(&self, call: &CallConnectionId) -> Refusal {
        let ended = |code| Refusal::new(400, code, "The call has ended.");
        match self.config.behaviour.calls.ended_call {
            _ if !self.past.calls.known.contains(call) => Refusal::call_not_found(),
            EndedCall::NotFound => Refusal::call_not_found(),
            EndedCall::Code8501 => ended("8501"),
            EndedCall::Code8528 => ended("8528"),
            EndedCall::Code8585 => ended("8585"),
        }
    }

    /// Why a ticket that rings nowhere is refused.
    pub(super) fn no_ticket(&self, ticket: &IncomingCallContext) -> Refusal {
        match self.config.behaviour.calls.used_ticket {
            _ if !self.past.tickets.known.contains(ticket) => Refusal::call_not_found(),
            UsedTicket::NotFound => Refusal::call_not_found(),
            UsedTicket::WrongState => {
                Refusal::wrong_state("The incomingCallContext was used already.")
            }
            UsedTicket::Conflict => Refusal::conflict("The incomingCallContext was used already."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_nothing_counts_twice() {
        let mut recent = Recent::default();
        for one in [1, 1, 2, 3] {
            recent.add(&one, 2);
        }
        assert_eq!(recent.known.iter().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(recent.order, [2, 3]);
    }
}
