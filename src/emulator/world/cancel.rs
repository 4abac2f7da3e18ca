//! Media operations that end before their time: cancelled, cut off, or with nobody left to hear them.

use super::events::News;
use super::media::{Lane, Op};
use super::outcomes::{self, Outcome};
use super::{Refusal, World};
use crate::wire::identifiers::{CallConnectionId, RawId};

impl World {
    /// Cancels everything that runs or waits.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up.
    pub fn cancel_all_media(&mut self, call: &CallConnectionId) -> Result<(), Refusal> {
        self.connected(call)?;
        self.cancel_lanes(call, |lane| !matches!(lane, Lane::Hold(_)));
        Ok(())
    }

    /// Cancels the operations of some legs, in the order in which they were asked for.
    pub(super) fn cancel_lanes(&mut self, call: &CallConnectionId, which: impl Fn(&Lane) -> bool) {
        let mut ops = self.take_ops(call, &which);
        ops.sort_by_key(|op| op.number);
        for op in ops {
            let news = News::of(op.canceled(), outcomes::CANCELED);
            self.tell(call, &op.meta, news);
        }
    }

    fn take_ops(&mut self, call: &CallConnectionId, which: &dyn Fn(&Lane) -> bool) -> Vec<Op> {
        let Some(connection) = self.connections.get_mut(call) else { return Vec::new() };
        let lanes: Vec<_> =
            connection.media.lanes.keys().filter(|lane| which(lane)).cloned().collect();
        let lines = lanes.iter().filter_map(|lane| connection.media.lanes.remove(lane));
        let ops: Vec<_> =
            lines.flat_map(|line| line.running.into_iter().chain(line.waiting)).collect();
        for entry in ops.iter().filter_map(|op| op.timer) {
            self.agenda.cancel(entry);
        }
        ops
    }

    pub(super) fn media_ends_with_call(&mut self, call: &CallConnectionId) {
        self.watches_end(call);
        if self.config.behaviour.media_told_at_call_end {
            self.cancel_lanes(call, |lane| !matches!(lane, Lane::Hold(_)));
        }
        self.take_ops(call, &|_| true);
    }

    /// Takes away what runs and waits on a leg, without a word.
    pub(super) fn silence(&mut self, call: &CallConnectionId, lane: &Lane) {
        self.take_ops(call, &|other| other == lane);
    }

    /// Whoever an operation was for is gone: it fails.
    pub(super) fn media_party_left(&mut self, call: &CallConnectionId, who: &RawId) {
        self.voice_gone(call, who);
        if !self.is_group(call) && self.others(call).is_empty() {
            return; // the call itself is about to end
        }
        self.silence(call, &Lane::Hold(who.clone()));
        self.watch_ends(call, who);
        self.fail_ops_for(call, who, &outcomes::PARTY_GONE);
    }

    fn fail_ops_for(&mut self, call: &CallConnectionId, who: &RawId, why: &Outcome) {
        let Some(connection) = self.connections.get_mut(call) else { return };
        let (mut failed, mut kept) = (Vec::new(), Vec::new());
        for line in connection.media.lanes.values_mut() {
            failed.extend(line.running.take_if(|op| op.loses(who)));
            for mut op in std::mem::take(&mut line.waiting) {
                let left = if op.loses(who) { &mut failed } else { &mut kept };
                left.push(op);
            }
            line.waiting = kept.drain(..).collect();
        }
        let lanes: Vec<_> = connection.media.lanes.keys().cloned().collect();
        for op in failed {
            if let Some(entry) = op.timer {
                self.agenda.cancel(entry);
            }
            self.tell(call, &op.meta, News::of(op.failed(), why.clone()));
        }
        for lane in lanes {
            self.start_next(call, &lane);
        }
    }
}
