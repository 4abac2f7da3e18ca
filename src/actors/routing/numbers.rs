//! Writing number assignments, and looking them up.
//!
//! The table is never changed, only replaced: whoever holds the old one goes on reading it.

use std::sync::Arc;

use actix::{Handler, MessageResult};
use jiff::Timestamp;

use super::{
    Change, Changed, DropNumber, GetNumber, GetTable, ListNumbers, MAX_PAGE, NumberPage, PutNumber,
    RoutingActor, telling,
};
use crate::pure::routing::{Key, Numbered, Table, WriteError};

impl RoutingActor {
    fn replace_table(&mut self, table: Table, change: impl FnOnce(u64, Timestamp) -> Change) {
        let change = change(table.version(), self.clock.wall());
        telling::numbers_changed(change.what, table.version(), table.len());
        self.table = Arc::new(table);
        if self.changes.len() >= self.settings.records {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    fn numbered(&self, key: Key) -> Option<Numbered> {
        let assignment = Arc::clone(self.table.get(&key)?);
        Some(Numbered { key, assignment })
    }
}

impl Handler<PutNumber> for RoutingActor {
    type Result = Result<Numbered, WriteError>;

    fn handle(&mut self, put: PutNumber, _: &mut Self::Context) -> Self::Result {
        let PutNumber { key, draft, if_match, who, why } = put;
        let limit = self.settings.assignments;
        if self.table.len() >= limit && self.table.get(&key).is_none() {
            return Err(WriteError::Full { limit });
        }
        let (table, assignment) = self.table.put(&key, draft, if_match)?;
        let changed = key.clone();
        self.replace_table(table, |version, at| Change {
            version,
            at,
            key: changed,
            what: Changed::Put,
            who,
            why,
        });
        Ok(Numbered { key, assignment })
    }
}

impl Handler<DropNumber> for RoutingActor {
    type Result = Result<u64, WriteError>;

    fn handle(&mut self, dropped: DropNumber, _: &mut Self::Context) -> Self::Result {
        let DropNumber { key, if_match, who, why } = dropped;
        let table = self.table.without(&key, if_match)?;
        let what = Changed::Dropped;
        self.replace_table(table, |version, at| Change { version, at, key, what, who, why });
        Ok(self.table.version())
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
