//! Operations of calls: asking for them, and waiting for their outcome.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::calls::{Calls, Refusal};
use super::messages::{Ask, OperationLook};
use crate::ports::{JournalError, Later, Line, LineKind, sleep};
use crate::pure::call::{Call, NewOperation, OperationDeed, OperationStatus, OperationView, Which};
use crate::pure::notes::OperationNote;
use crate::pure::operations::{Way, way};
use crate::pure::time::Position;
use crate::wire::calling::Operation;
use crate::wire::identifiers::CallConnectionId;

/// Done when something is safe in the journal.
type Kept = Later<'static, Result<(), JournalError>>;

/// An operation that stands, before its request leaves (rule C13).
pub struct Begun {
    /// Where it stands in the journal: its name.
    pub of: Position,
    /// Whether it is safe there. The request need not wait for that, the answer must.
    pub kept: Kept,
}

/// Why an operation does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// The call cannot take it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// As many of its operations are under way as may be.
    #[error("the call has as many operations under way as it may have")]
    TooMany,
}

/// What is known of an operation.
#[derive(Clone, Debug)]
pub enum OperationOutcome {
    /// This; pending when the time was over first.
    Known(Box<OperationView>),
    /// The call knows of none such.
    Unknown,
    /// As many wait for operations of the call as may.
    TooMany,
}

impl Calls {
    /// Puts an operation up, in the journal and with its call. When this returns, it stands before
    /// every event that comes later.
    ///
    /// # Errors
    /// [`NotBegun`]; then nothing stands.
    pub async fn begin(
        &self,
        call: &CallConnectionId,
        what: NewOperation,
    ) -> Result<Begun, NotBegun> {
        let (stands, has_room) = oneshot::channel();
        let deed = OperationDeed::Begun(what);
        let mut stands = Some(stands);
        let (mut of, mut routed) = (Position::default(), Ok(None));
        let kept = self.write(call, &deed, &mut |place, at_ms| {
            of = place;
            let (deed, stands) = (deed.clone(), stands.take());
            routed = self.route(call.clone(), Ask::Operate { place, at_ms, deed, stands });
        });
        if stands.is_some() {
            // Nothing was taken; the journal says why.
            kept.await.map_err(Refusal::from)?;
            return Err(Refusal::Busy.into());
        }
        let begun = async {
            if let Some(verdict) = routed? {
                verdict.await.unwrap_or(Err(Refusal::Busy))?;
            }
            match has_room.await {
                Ok(true) => Ok(()),
                Ok(false) => Err(NotBegun::TooMany),
                Err(_) => Err(Refusal::Busy.into()),
            }
        };
        match begun.await {
            Ok(()) => Ok(Begun { of, kept }),
            Err(refused) => {
                self.withdraw(call, of);
                Err(refused)
            }
        }
    }

    /// Tells that Azure has accepted an operation, which is a sign of life. What only silence ends ends
    /// from then on; that is as safe as the journal makes it when this returns.
    ///
    /// # Errors
    /// [`Refusal`] when it could not be made safe.
    pub async fn accepted(
        &self,
        call: &CallConnectionId,
        of: Position,
        operation: Operation,
    ) -> Result<(), Refusal> {
        self.mention(call, Ask::Verified);
        match way(operation) {
            Way::Silence | Way::Gathering => {
                Ok(self.tell_deed(call, OperationDeed::Accepted(of)).await?)
            }
            Way::Answer | Way::Event | Way::Recording | Way::CallEnd => Ok(()),
        }
    }

    /// Tells which recording or invitation an operation is about, as its answer named it.
    ///
    /// # Errors
    /// [`Refusal`] when it could not be made safe.
    pub async fn named(
        &self,
        call: &CallConnectionId,
        of: Position,
        about: String,
    ) -> Result<(), Refusal> {
        Ok(self.tell_deed(call, OperationDeed::Named(of, about)).await?)
    }

    /// Tells that the request of an operation has failed (rule C13).
    pub fn withdraw(&self, call: &CallConnectionId, of: Position) {
        // Nobody waits for it: should it be lost, the operation times out after the next start.
        let _unawaited = self.tell_deed(call, OperationDeed::Withdrawn(of));
    }

    fn tell_deed(&self, call: &CallConnectionId, deed: OperationDeed) -> Kept {
        self.write(call, &deed, &mut |place, at_ms| {
            self.mention(call, Ask::Operate { place, at_ms, deed: deed.clone(), stands: None });
        })
    }

    /// Writes down what has become of an operation. The call is told where that stands, and in the order
    /// of the journal.
    fn write(
        &self,
        call: &CallConnectionId,
        deed: &OperationDeed,
        tell: &mut dyn FnMut(Position, i64),
    ) -> Kept {
        let text = OperationNote { call: call.clone(), deed: deed.clone() }.text();
        let at = self.clock().wall();
        let line = Line { kind: LineKind::Operation, at, text };
        self.journal().append(vec![line], &mut |place| tell(place, at.as_millisecond()))
    }

    /// How an operation stands, as soon as it is over, or when `within` is.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not known, cannot be asked now, or the service stops.
    pub async fn operation(
        &self,
        call: &CallConnectionId,
        which: &Which,
        within: Duration,
    ) -> Result<OperationOutcome, Refusal> {
        let clock = self.clock();
        let until = clock.now() + within;
        loop {
            let left = until - clock.now();
            let (over, is_over) = match left.is_zero() {
                true => (None, None),
                false => {
                    let (over, is_over) = oneshot::channel();
                    (Some(over), Some(is_over))
                }
            };
            let (reply, look) = oneshot::channel();
            let which = which.clone();
            self.ask(call, Ask::LookAtOperation { which, reply, over }).await?;
            // A call that leaves while it is asked is known no more.
            let view = match look.await.map_err(|_| Refusal::UnknownCall)? {
                OperationLook::Here(view) => view,
                OperationLook::Unknown => return Ok(OperationOutcome::Unknown),
                OperationLook::TooMany => return Ok(OperationOutcome::TooMany),
            };
            let Some(is_over) = is_over.filter(|_| view.status == OperationStatus::Pending) else {
                return Ok(OperationOutcome::Known(view));
            };
            // Whatever ends this, the next look tells: over, or no time left, or that we stop.
            let _either = match select(is_over, pin!(sleep(clock.as_ref(), left))).await {
                Either::Left((told, _)) => told.is_ok(),
                Either::Right(((), _)) => false,
            };
        }
    }
}

/// How a call says that one of its operations stands.
pub(super) fn look_at_operation(call: &Call, which: &Which) -> OperationLook {
    match call.operation(which) {
        Some(view) => OperationLook::Here(Box::new(view)),
        None => OperationLook::Unknown,
    }
}

type Poll = (Position, oneshot::Sender<()>);

/// Who waits for operations of a call to be over. A list in a box that is rarely there.
#[derive(Default)]
pub(super) struct Polls(Option<Box<List>>);

#[derive(Default)]
struct List(Vec<Poll>);

impl Polls {
    /// Lets somebody wait, if there is something to wait for and room for one more.
    pub fn put_up(
        &mut self,
        look: OperationLook,
        over: Option<oneshot::Sender<()>>,
        limit: usize,
    ) -> OperationLook {
        let (OperationLook::Here(view), Some(over)) = (&look, over) else { return look };
        if view.status != OperationStatus::Pending {
            return look;
        }
        let list = &mut self.0.get_or_insert_default().0;
        list.retain(|(_, other)| !other.is_closed());
        if list.len() >= limit {
            return OperationLook::TooMany;
        }
        list.push((view.of, over));
        look
    }

    /// An operation is over.
    pub fn tell(&mut self, of: Position) {
        let Some(list) = &mut self.0 else { return };
        for (_, over) in list.0.extract_if(.., |(which, _)| *which == of) {
            let _gone = over.send(());
        }
        if list.0.is_empty() {
            self.0 = None;
        }
    }
}
