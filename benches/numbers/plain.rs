//! The limit of a disk: a plain file that is only ever appended to, flushed in groups. It cannot be read
//! back, trimmed or trusted; it shows what the flushes themselves cost.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use switchhook::ports::{
    Found, Journal, JournalError, JournalState, Later, Line, Page, Placed, Position, Record,
    Remark, Snapshots,
};
use tokio::sync::{oneshot, watch};

type Waiting = (Vec<Line>, oneshot::Sender<()>);

/// Appends and flushes.
pub struct PlainFile {
    queue: Mutex<(u64, Vec<Waiting>)>,
    more: Condvar,
    state: watch::Sender<JournalState>,
}

impl PlainFile {
    /// Makes the file and starts the thread that writes it.
    pub fn open(path: &Path, added_flush: Duration) -> Arc<Self> {
        let mut file = File::create(path).expect("a file");
        let (queue, more) = (Mutex::default(), Condvar::new());
        let made = Arc::new(Self { queue, more, state: watch::Sender::default() });
        let journal = Arc::clone(&made);
        std::thread::spawn(move || {
            loop {
                let mut queue = journal.queue.lock().expect("a lock");
                while queue.1.is_empty() {
                    queue = journal.more.wait(queue).expect("a lock");
                }
                let batch = std::mem::take(&mut queue.1);
                drop(queue);
                let mut bytes = Vec::new();
                for line in batch.iter().flat_map(|(lines, _)| lines) {
                    bytes.extend_from_slice(line.text.as_bytes());
                    bytes.push(b'\n');
                }
                file.write_all(&bytes).expect("writes");
                file.sync_data().expect("flushes");
                std::thread::sleep(added_flush);
                for (_, answer) in batch {
                    let _gone = answer.send(());
                }
            }
        });
        made
    }
}

impl Journal for PlainFile {
    fn append(
        &self,
        lines: Vec<Line>,
        placed: Placed<'_>,
    ) -> Later<'static, Result<(), JournalError>> {
        let (answer, done) = oneshot::channel();
        let mut queue = self.queue.lock().expect("a lock");
        placed(Position(queue.0 + 1));
        queue.0 += lines.len() as u64;
        queue.1.push((lines, answer));
        drop(queue);
        self.more.notify_one();
        Box::pin(async move { done.await.map_err(|_| JournalError::Full) })
    }

    fn remark(&self, _: Position, _: Remark) {}

    fn keep(&self, _: Snapshots) -> Later<'static, Result<(), JournalError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn read(&self, _: Position, _: usize) -> Later<'_, Result<Page, JournalError>> {
        Box::pin(std::future::ready(Ok(Page { records: Vec::new(), oldest: Position(1) })))
    }

    fn get(&self, at: &[Position]) -> Later<'_, Result<Vec<Option<Record>>, JournalError>> {
        let nothing = vec![None; at.len()];
        Box::pin(std::future::ready(Ok(nothing)))
    }

    fn recover(&self, _: &mut dyn FnMut(Found<'_>)) -> Result<(), JournalError> {
        Ok(())
    }

    fn state(&self) -> watch::Receiver<JournalState> {
        self.state.subscribe()
    }

    fn life(&self) -> u32 {
        1
    }
}
