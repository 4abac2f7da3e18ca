//! Timelines: of one call, and of all calls. As JSON pages or as server-sent events that resume.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Desk;
use super::waits::{Told, call_id};
use crate::actors::{Gone, Subscription, heard_again};
use crate::http::cursor::Cursor;
use crate::http::problem::{Code, Problem};
use crate::ports::{Journal, JournalError, JournalState, Position, Record, sleep};
use crate::pure::call::{CloseReason, EntryView, Heard, Wants};
use crate::wire::events::EventKind;

/// A comment is sent this often on a silent stream, so that proxies keep it open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events of a page when the request names no limit, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// The query of both routes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    after: Option<String>,
    limit: Option<usize>,
    /// Short or full type names, separated by commas.
    types: Option<String>,
}

impl Query {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE)
    }

    fn wants(&self) -> Wants {
        let names = self.types.as_deref().unwrap_or_default().split(',').map(str::trim);
        let kinds: Vec<_> = names.filter(|name| !name.is_empty()).map(EventKind::parse).collect();
        if kinds.is_empty() { Wants::any() } else { Wants::kinds(&kinds) }
    }

    /// `Last-Event-ID` is what a browser sends when it connects again; it goes before the query.
    fn after(&self, request: &HttpRequest, life: u32) -> Result<Option<Position>, Problem> {
        let last = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
        let given = last.or(self.after.as_deref()).filter(|text| !text.is_empty());
        given.map(|text| Cursor::parse(text, life).map(|cursor| cursor.position)).transpose()
    }
}

fn wants_stream(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    cursor: String,
    #[serde(flatten)]
    line: &'a EntryView,
    /// The CloudEvent, while the journal still has it.
    event: Option<Box<RawValue>>,
}

impl<'a> Line<'a> {
    pub(super) fn new(line: &'a EntryView, event: Option<Box<RawValue>>, life: u32) -> Self {
        Self { cursor: cursor(life, line.position), line, event }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageOf<T> {
    events: Vec<T>,
    /// Where to go on from; the same as asked for when there was nothing new.
    next: Option<String>,
    /// Events that had left before they could be read.
    missed: u64,
}

/// The timeline of one call.
///
/// # Errors
/// A [`Problem`]; 404 when the call is not known.
pub async fn of_call(
    desk: web::Data<Desk>,
    id: web::Path<String>,
    query: web::Query<Query>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let call = call_id(&id)?;
    let life = desk.calls.journal().life();
    let after = query.after(&request, life)?;
    let view = desk.calls.look(&call).await?;
    if wants_stream(&request) {
        // Without a cursor a stream begins at the call's beginning.
        let after = after.unwrap_or_default();
        let follower = desk.calls.subscribe(&call, query.wants(), Some(after)).await?;
        return Ok(stream_of_call(follower, &desk));
    }
    let wants = query.wants();
    let mut lines: Vec<_> = view
        .timeline
        .into_iter()
        .filter(|line| {
            after.is_none_or(|after| line.position > after) && wants.kinds.has(&line.entry.kind)
        })
        .collect();
    lines.truncate(query.limit());
    let payloads = payloads(&desk, &lines).await?;
    let next = lines.last().map(|line| line.position).or(after);
    let next = next.map(|position| cursor(life, position));
    let unread = after.is_none_or(|after| after < view.timeline_dropped_to);
    let missed = if unread { view.timeline_dropped } else { 0 };
    let line = |(line, event)| Line::new(line, event, life);
    let events = lines.iter().zip(payloads).map(line).collect();
    Ok(HttpResponse::Ok().json(PageOf { events, next, missed }))
}

fn cursor(life: u32, position: Position) -> String {
    Cursor { life, position }.to_string()
}

fn not_readable(error: JournalError) -> Problem {
    tracing::error!(%error, "the journal could not be read");
    Problem::new(Code::Internal)
}

/// The events of all calls, in the order in which they were received.
///
/// # Errors
/// A [`Problem`].
pub async fn of_all(
    desk: web::Data<Desk>,
    query: web::Query<Query>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let journal = Arc::clone(desk.calls.journal());
    let life = journal.life();
    let after = query.after(&request, life)?;
    if wants_stream(&request) {
        // Without a cursor a stream begins now.
        let after = after.unwrap_or_else(|| journal.state().borrow().newest);
        return Ok(stream_of_all(after, query.wants(), &desk));
    }
    let page =
        journal.read(after.unwrap_or_default(), query.limit()).await.map_err(not_readable)?;
    let last = page.records.last().map(|record| record.position);
    let next = last.or(after).map(|position| cursor(life, position));
    let missed = gap(after, page.oldest);
    let wants = query.wants();
    let heard: Vec<_> = page.records.into_iter().filter_map(heard_again).collect();
    let wanted = heard.iter().filter(|heard| wants.matches(heard));
    let told = wanted.map(|heard| Told::of(heard, journal.as_ref()));
    let events = told.collect::<Result<Vec<_>, _>>()?;
    Ok(HttpResponse::Ok().json(PageOf { events, next, missed }))
}

/// How many events after a cursor have been trimmed away.
fn gap(after: Option<Position>, oldest: Position) -> u64 {
    after.map_or(0, |after| oldest.0.saturating_sub(after.0.saturating_add(1)))
}

fn event_stream(chunks: impl stream::Stream<Item = Bytes> + 'static) -> HttpResponse {
    use futures_util::StreamExt;
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(chunks.map(Ok::<_, Infallible>))
}

/// One event in the format of server-sent events. JSON from `serde_json` has no line breaks; that of
/// Azure may, so it is written anew.
fn frame(heard: &Heard, journal: &dyn Journal) -> Bytes {
    let told = Told::of(heard, journal).ok().and_then(|told| serde_json::to_value(told).ok());
    let data = told.unwrap_or_default();
    let id = cursor(journal.life(), heard.position);
    Bytes::from(format!("id: {id}\nevent: {}\ndata: {data}\n\n", one_line(&heard.event.kind)))
}

fn one_line(kind: &EventKind) -> String {
    kind.short_name().replace(['\r', '\n'], " ")
}

fn note(name: &str, data: serde_json::Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn missed(count: u64) -> Bytes {
    note("switchhook.missed", serde_json::json!({ "missed": count }))
}

fn stream_of_call(follower: Subscription, desk: &web::Data<Desk>) -> HttpResponse {
    struct State {
        follower: Option<Subscription>,
        told_missed: u64,
        desk: web::Data<Desk>,
    }
    let state = State { follower: Some(follower), told_missed: 0, desk: desk.clone() };
    event_stream(stream::unfold(state, |mut state| async move {
        let follower = state.follower.as_mut()?;
        let clock = Arc::clone(&state.desk.clock);
        let chunk = tokio::select! {
            biased;
            next = follower.next() => match next {
                Ok(heard) => frame(&heard, state.desk.calls.journal().as_ref()),
                Err(gone) => {
                    state.follower = None;
                    return Some((farewell(gone), state));
                }
            },
            () = sleep(clock.as_ref(), HEARTBEAT) => Bytes::from_static(b": still here\n\n"),
        };
        let now_missed = follower.missed();
        if now_missed > state.told_missed {
            let told = missed(now_missed - state.told_missed);
            state.told_missed = now_missed;
            return Some(([told, chunk].concat().into(), state));
        }
        Some((chunk, state))
    }))
}

/// The last words of a call's stream: why there is no more.
fn farewell(gone: Gone) -> Bytes {
    let reason = match gone {
        Gone::Closed(CloseReason::CallEnded) => "call_ended",
        Gone::Closed(CloseReason::ShuttingDown) => "shutting_down",
        Gone::Closed(CloseReason::Refused) => "too_many_subscriptions",
        Gone::Slow => "too_slow",
        Gone::Lost => "call_lost",
    };
    note("switchhook.end", serde_json::json!({ "reason": reason }))
}

fn stream_of_all(after: Position, wants: Wants, desk: &web::Data<Desk>) -> HttpResponse {
    struct State {
        at: Position,
        wants: Wants,
        desk: web::Data<Desk>,
        state: tokio::sync::watch::Receiver<JournalState>,
    }
    let journal = desk.calls.journal().state();
    let state = State { at: after, wants, desk: desk.clone(), state: journal };
    event_stream(stream::unfold(state, |mut state| async move {
        loop {
            let journal = Arc::clone(state.desk.calls.journal());
            state.state.mark_unchanged();
            let page = journal.read(state.at, PAGE).await.ok()?;
            let mut chunk = Vec::new();
            if let lost @ 1.. = gap(Some(state.at), page.oldest) {
                chunk.extend_from_slice(&missed(lost));
            }
            state.at = page.records.last().map_or(state.at, |record| record.position);
            for heard in page.records.into_iter().filter_map(heard_again) {
                if state.wants.matches(&heard) {
                    chunk.extend_from_slice(&frame(&heard, journal.as_ref()));
                }
            }
            if !chunk.is_empty() {
                return Some((Bytes::from(chunk), state));
            }
            if state.state.borrow().newest > state.at {
                continue;
            }
            let clock = Arc::clone(&state.desk.clock);
            tokio::select! {
                changed = state.state.changed() => changed.ok()?,
                () = sleep(clock.as_ref(), HEARTBEAT) => {
                    return Some((Bytes::from_static(b": still here\n\n"), state));
                }
            }
        }
    }))
}

/// The payloads of lines of a timeline, while the journal still has them.
pub(super) async fn payloads(
    desk: &Desk,
    lines: &[EntryView],
) -> Result<Vec<Option<Box<RawValue>>>, Problem> {
    let at: Vec<_> = lines.iter().map(|line| line.position).collect();
    let records = desk.calls.journal().get(&at).await.map_err(not_readable)?;
    let raw = |record: Option<Record>| RawValue::from_string(record?.line.text.to_string()).ok();
    Ok(records.into_iter().map(raw).collect())
}
