//! What all clients share: the books, the way to the service while there is one, and the watch.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::azure::Azure;
use super::ledger::Ledger;
use super::process::Addresses;

/// What the clients may do now.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// There is no service.
    Down,
    /// It is looked at: waits go on, nothing else does.
    Checking(Addresses),
    /// Everybody works.
    Working(Addresses),
    /// Everybody brings to an end what was begun.
    Finishing(Addresses),
}

impl Phase {
    /// Where the service is.
    pub fn addresses(&self) -> Option<&Addresses> {
        match self {
            Self::Down => None,
            Self::Checking(at) | Self::Working(at) | Self::Finishing(at) => Some(at),
        }
    }
}

/// What all clients share. They live on one thread.
pub struct World {
    pub ledger: RefCell<Ledger>,
    pub azure: Rc<Azure>,
    pub phase: watch::Sender<Phase>,
    /// Legs of answered calls that the service knows and nobody has taken yet.
    pub legs: RefCell<VecDeque<String>>,
    /// Calls that have ended without a word.
    pub silenced: RefCell<BTreeSet<String>>,
    /// Clients that have brought everything to an end.
    pub finished: Cell<usize>,
    http: reqwest::Client,
    began: Instant,
    target: Cell<usize>,
    reached: Notify,
}

impl World {
    pub fn new(azure: Rc<Azure>) -> Rc<Self> {
        // A request that hangs is one whose fate is unknown, and is told as such.
        let http = reqwest::Client::builder().build().expect("a client");
        Rc::new(Self {
            ledger: RefCell::default(),
            azure,
            phase: watch::Sender::new(Phase::Down),
            legs: RefCell::default(),
            silenced: RefCell::default(),
            finished: Cell::new(0),
            http,
            began: Instant::now(),
            target: Cell::new(usize::MAX),
            reached: Notify::new(),
        })
    }

    /// Milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Where the service is, and whether all is to be brought to an end; waits until there is work.
    pub async fn work(&self) -> (Addresses, bool) {
        let mut phase = self.phase.subscribe();
        let now = phase.wait_for(|now| matches!(now, Phase::Working(_) | Phase::Finishing(_)));
        match now.await.as_deref() {
            Ok(Phase::Working(at)) => (at.clone(), false),
            Ok(Phase::Finishing(at)) => (at.clone(), true),
            _ => std::future::pending().await,
        }
    }

    /// Where the service is; waits until there is one.
    pub async fn served(&self) -> Addresses {
        let mut phase = self.phase.subscribe();
        let now = phase.wait_for(|now| now.addresses().is_some()).await;
        match now.as_deref().ok().and_then(Phase::addresses) {
            Some(at) => at.clone(),
            None => std::future::pending().await,
        }
    }

    /// Whether the service still is where it was.
    pub fn still_at(&self, at: &Addresses) -> bool {
        self.phase.borrow().addresses() == Some(at)
    }

    pub fn get(&self, url: String) -> RequestBuilder {
        self.http.get(url).timeout(PATIENCE)
    }

    pub fn post(&self, url: String, body: &Value) -> RequestBuilder {
        self.http.post(url).json(body).timeout(PATIENCE)
    }

    pub fn put(&self, url: String, body: &Value) -> RequestBuilder {
        self.http.put(url).json(body).timeout(PATIENCE)
    }

    pub fn delete(&self, url: String) -> RequestBuilder {
        self.http.delete(url).timeout(PATIENCE)
    }

    /// The next kill comes after so many more acknowledged requests. Resolves then.
    pub async fn after(&self, acks: usize) {
        let target = self.ledger.borrow().acks + acks;
        self.target.set(target);
        while self.ledger.borrow().acks < target {
            self.reached.notified().await;
        }
        self.target.set(usize::MAX);
    }

    /// A request was acknowledged.
    pub fn counted(&self) {
        if self.ledger.borrow().acks >= self.target.get() {
            self.reached.notify_one();
        }
    }

    /// An answer that no client should get.
    pub fn strange(&self, to: &'static str, status: u16, body: &Value) {
        self.ledger.borrow_mut().strange.push((to, status, body.to_string()));
    }
}

/// How long the service may take for an answer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Status and JSON of an answer; `None` when the connection broke.
pub async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let text = response.text().await.ok()?;
    Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// Polls until it is so, or that time is over. Says which.
pub async fn until<F: Future<Output = bool>>(time: Duration, mut so: impl FnMut() -> F) -> bool {
    let began = Instant::now();
    loop {
        if so().await {
            return true;
        }
        if began.elapsed() > time {
            return false;
        }
        tokio::task::yield_now().await;
    }
}
