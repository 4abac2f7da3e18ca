//! Writing number assignments, and looking them up (rules I7, I11).
//!
//! One change at a time is thought out on the table as it is then, made safe by the store, and only then
//! put in force and answered. All of that goes on beside the mailbox: calls are decided meanwhile, with
//! the old table. A change that could not be made safe never was.

use std::future::Future;
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{ActorFutureExt, Handler, MessageResult, ResponseActFuture, ResponseFuture};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{
    ChangeError, DropNumber, GetNumber, GetTable, ListChanges, ListNumbers, MAX_CHANGES, MAX_PAGE,
    NumberPage, PutNumber, RollBack, RolledBack, RoutingActor, telling,
};
use crate::ports::{HistoryPage, NumberStore, NumberStoreError};
use crate::pure::routing::{Change, Changed, Key, KeyChange, Numbered, Table, WriteError};
use crate::wire::identifiers::RedactedText;

/// Where changes wait for their turn and for the store.
pub(super) struct WritingDesk {
    store: Arc<dyn NumberStore>,
    /// Whoever holds it is the one who writes.
    turn: Arc<Mutex<()>>,
    waiting: usize,
}

impl WritingDesk {
    pub(super) fn new(store: Arc<dyn NumberStore>) -> Self {
        Self { store, turn: Arc::default(), waiting: 0 }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn failed(&self) -> Option<Arc<str>> {
        self.store.failed()
    }
}

/// What a change is thought out on.
struct Present {
    table: Arc<Table>,
    store: Arc<dyn NumberStore>,
    now: Timestamp,
    /// Assignments that there may be.
    limit: usize,
}

/// A change that was thought out and is not yet made.
struct Thought<T> {
    table: Table,
    change: Arc<Change>,
    answer: T,
}

type Written<T> = ResponseActFuture<RoutingActor, Result<T, ChangeError>>;

impl RoutingActor {
    /// Makes a change when it is its turn. Goes on when whoever asked has gone.
    fn write<T, F>(&mut self, think: impl FnOnce(Present) -> F + 'static) -> Written<T>
    where
        T: 'static,
        F: Future<Output = Result<Thought<T>, ChangeError>> + 'static,
    {
        let limit = self.settings.mailbox;
        if self.desk.waiting >= limit {
            return Box::pin(wrap_future(async move { Err(ChangeError::TooMany { limit }) }));
        }
        self.desk.waiting += 1;
        let turn = wrap_future::<_, Self>(Arc::clone(&self.desk.turn).lock_owned());
        let write = turn.then(|turn, actor, _| {
            let present = Present {
                table: Arc::clone(&actor.table),
                store: Arc::clone(&actor.desk.store),
                now: actor.clock.wall(),
                limit: actor.settings.assignments,
            };
            wrap_future(async move { (make_safe(present, think).await, turn) })
        });
        Box::pin(write.map(|(made, turn), actor, _| {
            actor.desk.waiting -= 1;
            let Thought { table, change, answer } = made?;
            telling::numbers_changed(change.what, change.version, change.keys.len(), table.len());
            actor.table = Arc::new(table);
            drop(turn);
            Ok(answer)
        }))
    }

    fn numbered(&self, key: Key) -> Option<Numbered> {
        let assignment = Arc::clone(self.table.get(&key)?);
        Some(Numbered { key, assignment })
    }
}

async fn make_safe<T, F>(
    present: Present,
    think: impl FnOnce(Present) -> F,
) -> Result<Thought<T>, ChangeError>
where
    F: Future<Output = Result<Thought<T>, ChangeError>>,
{
    let store = Arc::clone(&present.store);
    let thought = think(present).await?;
    let change = Arc::clone(&thought.change);
    store.commit(change).await.inspect_err(|error| {
        telling::numbers_not_kept(thought.change.what, error);
    })?;
    Ok(thought)
}

impl Present {
    fn put(self, put: PutNumber) -> Result<Thought<Numbered>, ChangeError> {
        let PutNumber { key, draft, if_match, who, why } = put;
        let before = self.table.get(&key).cloned();
        if self.table.len() >= self.limit && before.is_none() {
            return Err(WriteError::Full { limit: self.limit }.into());
        }
        let (table, assignment) = self.table.put(&key, draft, if_match)?;
        let changed = KeyChange { key: key.clone(), before, after: Some(Arc::clone(&assignment)) };
        let change = self.change(&table, Changed::Put, who, why, vec![changed]);
        Ok(Thought { table, change, answer: Numbered { key, assignment } })
    }

    fn drop(self, dropped: DropNumber) -> Result<Thought<u64>, ChangeError> {
        let DropNumber { key, if_match, who, why } = dropped;
        let table = self.table.without(&key, if_match)?;
        let before = self.table.get(&key).cloned();
        let changed = KeyChange { key, before, after: None };
        let change = self.change(&table, Changed::Dropped, who, why, vec![changed]);
        Ok(Thought { answer: change.version, table, change })
    }

    async fn roll_back(self, back: RollBack) -> Result<Thought<RolledBack>, ChangeError> {
        let RollBack { to, if_match, who, why } = back;
        let current = self.table.version();
        if if_match.is_some_and(|seen| seen != current) {
            return Err(ChangeError::Moved { current });
        }
        let past = self.store.past(to).await?;
        let table = Arc::clone(&self.table);
        // Takes its time with a large table, and calls are decided on this thread.
        let thought = tokio::task::spawn_blocking(move || {
            let keys = table.difference(past);
            table.with(&keys).map(|table| (table, keys))
        });
        let thought = thought.await.map_err(|_| NumberStoreError::Unreadable("it died".into()))?;
        let (table, keys) = thought?;
        if keys.is_empty() {
            return Err(ChangeError::NothingToDo { to });
        }
        if table.len() > self.limit {
            return Err(WriteError::Full { limit: self.limit }.into());
        }
        let key_count = keys.len();
        let change = self.change(&table, Changed::RolledBack { to }, who, why, keys);
        let answer = RolledBack { version: change.version, to, key_count };
        Ok(Thought { table, change, answer })
    }

    fn change(
        &self,
        table: &Table,
        what: Changed,
        who: RedactedText,
        why: Option<RedactedText>,
        keys: Vec<KeyChange>,
    ) -> Arc<Change> {
        Arc::new(Change { version: table.version(), at: self.now, what, who, why, keys })
    }
}

impl Handler<PutNumber> for RoutingActor {
    type Result = Written<Numbered>;

    fn handle(&mut self, put: PutNumber, _: &mut Self::Context) -> Self::Result {
        self.write(|present| async { present.put(put) })
    }
}

impl Handler<DropNumber> for RoutingActor {
    type Result = Written<u64>;

    fn handle(&mut self, dropped: DropNumber, _: &mut Self::Context) -> Self::Result {
        self.write(|present| async { present.drop(dropped) })
    }
}

impl Handler<RollBack> for RoutingActor {
    type Result = Written<RolledBack>;

    fn handle(&mut self, back: RollBack, _: &mut Self::Context) -> Self::Result {
        self.write(|present| present.roll_back(back))
    }
}

impl Handler<ListChanges> for RoutingActor {
    type Result = ResponseFuture<Result<HistoryPage, NumberStoreError>>;

    fn handle(&mut self, list: ListChanges, _: &mut Self::Context) -> Self::Result {
        self.desk.store.history(list.before, list.limit.min(MAX_CHANGES))
    }
}

impl Handler<GetNumber> for RoutingActor {
    type Result = Option<Numbered>;

    fn handle(&mut self, GetNumber(key): GetNumber, _: &mut Self::Context) -> Self::Result {
        self.numbered(key)
    }
}

impl Handler<ListNumbers> for RoutingActor {
    type Result = MessageResult<ListNumbers>;

    fn handle(&mut self, list: ListNumbers, _: &mut Self::Context) -> Self::Result {
        MessageResult(NumberPage {
            value: self.table.page(list.after.as_ref(), list.limit.min(MAX_PAGE)),
            version: self.table.version(),
            total: self.table.len(),
        })
    }
}

impl Handler<GetTable> for RoutingActor {
    type Result = MessageResult<GetTable>;

    fn handle(&mut self, _: GetTable, _: &mut Self::Context) -> Self::Result {
        MessageResult(Arc::clone(&self.table))
    }
}
