//! Carrying out a plan: one step after the other, until one succeeds or the telephone is silent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{CallAnswered, RoutingActor, telling};
use crate::ports::{
    Answer, Clock, Journal, JournalError, Line, LineKind, Position, Repeatability, Request, Tick,
    UpstreamError, sleep,
};
use crate::pure::notes;
use crate::pure::routing::{
    Action, AnswerOptions, Attempt, AttemptResult, CallIds, DecisionRecord, Fate, Leg, Planned,
};
use crate::wire::calling::{
    AnswerCallRequest, CallConnectionProperties, CallIntelligenceOptions, Operation, Place,
    RedirectCallRequest, RejectCallRequest,
};
use crate::wire::events::grid::IncomingCall;
use crate::wire::identifiers::{CommunicationUser, IncomingCallContext, OperationContext, RawId};

/// While the journal has as much to write as it may, it is asked again after so long.
const PAUSE: Duration = Duration::from_millis(50);

/// A ringing call whose plan is being carried out.
pub(super) struct Acting {
    /// Where its event stands in the journal.
    pub(super) rang: Position,
    ticket: IncomingCallContext,
    from: RawId,
    to: RawId,
    ids: CallIds,
    leg: Leg,
    plan: VecDeque<Planned>,
    deadline: Tick,
}

impl Acting {
    pub(super) fn new(
        rang: Position,
        call: IncomingCall,
        plan: Vec<Planned>,
        deadline: Tick,
    ) -> Self {
        Self {
            rang,
            from: call.from.raw_id().clone(),
            to: call.to.raw_id().clone(),
            ids: CallIds::of_call(&call),
            leg: Leg::of(&call),
            ticket: call.incoming_call_context,
            plan: plan.into(),
            deadline,
        }
    }
}

/// One step under way.
pub(super) struct Trying {
    pub(super) decision: u64,
    pub(super) planned: Planned,
    /// What the events of an answer carry.
    pub(super) context: OperationContext,
    /// The same when it is sent again after a restart.
    pub(super) repeatability: Repeatability,
}

impl RoutingActor {
    /// Tries the next step, or ends when there is none or the telephone is silent.
    pub(super) fn try_next(&mut self, decision: u64, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let Some(acting) = self.acting.get_mut(&decision) else { return };
        let next = if now < acting.deadline { acting.plan.pop_front() } else { None };
        let Some(planned) = next else { return self.finish(decision, Fate::Failed) };
        if planned.action == Action::Ignore {
            return self.finish(decision, Fate::Ignored);
        }
        if let Action::Redirect { target } = &planned.action {
            self.remembered.guard.follow(now, &acting.leg, target);
        }
        let at = self.clock.wall();
        if let Some(record) = self.records.get_mut(decision) {
            let (step, action) = (planned.step, planned.action.label());
            record.attempts.push(Attempt { step, action, at, result: AttemptResult::Pending });
        }
        let context = operation_context(&planned.action);
        let repeatability = Repeatability { request_id: uuid::Uuid::new_v4(), first_sent: at };
        self.keep(Trying { decision, planned, context, repeatability }, ctx);
    }

    /// Has the journal keep what is about to be sent; only then is it sent. So a restart in between
    /// knows what Azure may have been asked, and asks the same again.
    fn keep(&mut self, trying: Trying, ctx: &mut Context<Self>) {
        let Some(acting) = self.acting.get(&trying.decision) else { return };
        let at = trying.repeatability.first_sent;
        let plan = std::iter::once(&trying.planned).chain(&acting.plan).cloned().collect();
        let note = notes::Trying {
            rang: acting.rang,
            plan,
            context: trying.context.clone(),
            request_id: trying.repeatability.request_id,
            first_sent: at,
            deadline: on_the_calendar(acting.deadline, self.clock.now(), at),
            record: self.records.get(trying.decision).map(without_notices),
        };
        let line = Line { kind: LineKind::Trying, at, text: note.text() };
        let (journal, clock) = (Arc::clone(&self.journal), Arc::clone(&self.clock));
        let kept = patiently(journal, clock, line, acting.deadline).into_actor(self);
        ctx.spawn(kept.map(move |kept, actor, ctx| actor.kept(trying, kept, ctx)));
    }

    fn kept(&mut self, trying: Trying, kept: Result<(), JournalError>, ctx: &mut Context<Self>) {
        let Some(acting) = self.acting.get(&trying.decision) else { return };
        let problem = match kept {
            Ok(()) if self.clock.now() < acting.deadline => return self.send(trying, ctx),
            Ok(()) => "nothing was sent: when the journal had kept it, it rang no more".to_owned(),
            Err(error) => {
                telling::not_kept("trying", &error);
                format!("nothing was sent: {error}")
            }
        };
        if let Action::Redirect { target } = &trying.planned.action {
            self.remembered.guard.take_back(&acting.leg, target);
        }
        self.note(&trying, AttemptResult::Failed { status: None, undone: true, problem });
        self.finish(trying.decision, Fate::Failed);
    }

    /// Sends a step that the journal has kept.
    pub(super) fn send(&mut self, trying: Trying, ctx: &mut Context<Self>) {
        let Some(acting) = self.acting.get(&trying.decision) else { return };
        let Some((operation, body)) = self.body(acting, &trying) else {
            return self.finish(trying.decision, Fate::Ignored);
        };
        let request = Request {
            body,
            repeatability: Some(trying.repeatability.clone()),
            deadline: Some(acting.deadline),
            ..Request::new(operation, Place::Nowhere)
        };
        let azure = Arc::clone(&self.azure);
        let sending = async move { azure.send(request).await }.into_actor(self);
        ctx.spawn(sending.map(move |result, actor, ctx| actor.ended(trying, result, ctx)));
    }

    /// The operation and its body, the same each time; `None` for the action that sends nothing.
    fn body(&self, acting: &Acting, trying: &Trying) -> Option<(Operation, Vec<u8>)> {
        let ticket = Some(acting.ticket.clone());
        match &trying.planned.action {
            Action::Redirect { target } => {
                let target = Some(target.identifier());
                let body = RedirectCallRequest { incoming_call_context: ticket, target };
                Some((Operation::RedirectCall, json(&body)))
            }
            Action::Answer(options) => {
                let uri = self.settings.callback_uri.as_str().to_owned();
                let body = answer_body(ticket, uri, options, trying.context.clone());
                Some((Operation::AnswerCall, json(&body)))
            }
            Action::Reject { reason } => {
                let reason = Some(reason.wire().to_owned());
                let body =
                    RejectCallRequest { incoming_call_context: ticket, call_reject_reason: reason };
                Some((Operation::RejectCall, json(&body)))
            }
            Action::Ignore => None,
        }
    }

    fn ended(
        &mut self,
        trying: Trying,
        result: Result<Answer, UpstreamError>,
        ctx: &mut Context<Self>,
    ) {
        match result {
            Ok(answer) => {
                self.note(&trying, AttemptResult::Succeeded);
                self.succeeded(&trying, &answer, ctx);
            }
            Err(error) => {
                let undone = matches!(error, UpstreamError::Refused { .. });
                let (status, problem) = (error.status(), error.to_string());
                self.note(&trying, AttemptResult::Failed { status, undone, problem });
                self.failed(&trying, &error, ctx);
            }
        }
    }

    /// Writes on the record how the attempt went.
    fn note(&mut self, trying: &Trying, result: AttemptResult) {
        let record = self.records.get_mut(trying.decision);
        if let Some(attempt) = record.and_then(|record| record.attempts.last_mut()) {
            attempt.result = result;
        }
    }

    fn succeeded(&mut self, trying: &Trying, answer: &Answer, ctx: &mut Context<Self>) {
        match self.news_of(trying, answer) {
            Some(news) => self.tell_answered(news, ctx),
            None => self.finish(trying.decision, Fate::of_done(&trying.planned.action)),
        }
    }

    fn failed(&mut self, trying: &Trying, error: &UpstreamError, ctx: &mut Context<Self>) {
        let Some(acting) = self.acting.get(&trying.decision) else { return };
        telling::attempt_failed(trying.planned.action.label(), error, &acting.ids);
        // Only a refusal says for certain that nobody else rings now.
        if let (Action::Redirect { target }, UpstreamError::Refused { .. }) =
            (&trying.planned.action, error)
        {
            self.remembered.guard.take_back(&acting.leg, target);
        }
        self.try_next(trying.decision, ctx);
    }

    /// What is told of an answered call, when it was one.
    fn news_of(&self, trying: &Trying, answer: &Answer) -> Option<CallAnswered> {
        if !matches!(trying.planned.action, Action::Answer(_)) {
            return None;
        }
        let acting = self.acting.get(&trying.decision)?;
        let read: Option<CallConnectionProperties> = serde_json::from_slice(&answer.body).ok();
        let Some((call, read)) =
            read.and_then(|read| Some((read.call_connection_id.clone()?, read)))
        else {
            telling::answer_unreadable(&acting.ids);
            return None;
        };
        Some(CallAnswered {
            call,
            server_call: read.server_call_id.or_else(|| acting.ids.server_call.clone()),
            correlation: read.correlation_id.or_else(|| acting.ids.correlation.clone()),
            from: acting.from.clone(),
            to: acting.to.clone(),
            operation_context: trying.context.clone(),
            decision: trying.decision,
        })
    }

    /// Tells whoever leads calls. Waits for room in that mailbox: an answered call must not be lost. It
    /// is settled only when it was taken: after a restart before that, Azure is asked again, gives the
    /// same answer, and it is told then.
    fn tell_answered(&mut self, news: CallAnswered, ctx: &mut Context<Self>) {
        let (decision, call) = (news.decision, news.call.clone());
        if let Some(record) = self.records.get_mut(decision) {
            record.call_connection_id = Some(call.clone());
        }
        let Some(rang) = self.end(decision, Fate::Answered) else { return };
        let told = self.answered.send(news).into_actor(self);
        ctx.spawn(told.map(move |result, actor, _| match result {
            Ok(()) => actor.write_settled(rang, decision, Fate::Answered),
            Err(_) => telling::answered_untold(&call),
        }));
    }

    /// It is settled what became of a call that was acted on.
    pub(super) fn finish(&mut self, decision: u64, fate: Fate) {
        if let Some(rang) = self.end(decision, fate) {
            self.write_settled(rang, decision, fate);
        }
    }

    /// A call is acted on no more. Where its event stands.
    fn end(&mut self, decision: u64, fate: Fate) -> Option<Position> {
        let Acting { rang, ids, .. } = self.acting.remove(&decision)?;
        self.note_fate(decision, fate, &ids);
        Some(rang)
    }

    fn note_fate(&mut self, decision: u64, fate: Fate, ids: &CallIds) {
        if let Some(record) = self.records.get_mut(decision) {
            record.fate = Some(fate);
        }
        telling::decided(fate, ids);
    }

    /// It is settled what became of a call on which nothing is done.
    pub(super) fn settle(&mut self, rang: Position, decision: u64, fate: Fate, ids: &CallIds) {
        self.note_fate(decision, fate, ids);
        self.write_settled(rang, decision, fate);
    }

    /// Nobody waits for this line: without it a restart asks Azure the same again, which counts once.
    fn write_settled(&self, rang: Position, decision: u64, fate: Fate) {
        let record = self.records.get(decision).map(without_notices);
        let call = record.as_ref().and_then(|record| record.call_connection_id.clone());
        let note = notes::Settled { rang, fate, call, record };
        let line = Line { kind: LineKind::Settled, at: self.clock.wall(), text: note.text() };
        let kept = self.journal.append(vec![line], &mut |_| {});
        actix::spawn(async move {
            if let Err(error) = kept.await {
                telling::not_kept("settled", &error);
            }
        });
    }
}

/// Notices have lines of their own, from which they are joined again.
fn without_notices(record: &DecisionRecord) -> DecisionRecord {
    DecisionRecord { notices: Vec::new(), ..record.clone() }
}

/// Appends, and again while the journal is full and there is time.
async fn patiently(
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    line: Line,
    deadline: Tick,
) -> Result<(), JournalError> {
    loop {
        let kept = journal.append(vec![line.clone()], &mut |_| {});
        match kept.await {
            Err(JournalError::Full) if clock.now() + PAUSE < deadline => {
                sleep(&*clock, PAUSE).await;
            }
            kept => return kept,
        }
    }
}

/// That tick on the calendar, on which it is `wall` at `now`.
fn on_the_calendar(tick: Tick, now: Tick, wall: Timestamp) -> Timestamp {
    let left = SignedDuration::try_from(tick.since(now)).unwrap_or(SignedDuration::MAX);
    wall.saturating_add(left).unwrap_or(Timestamp::MAX)
}

/// The context that the assignment states, or one of its own: so that the events of this answer are
/// never taken for those of another request.
fn operation_context(action: &Action) -> OperationContext {
    let stated = match action {
        Action::Answer(options) => options.operation_context.clone(),
        Action::Redirect { .. } | Action::Reject { .. } | Action::Ignore => None,
    };
    stated.unwrap_or_else(|| OperationContext::new(uuid::Uuid::new_v4().to_string()))
}

fn answer_body(
    ticket: Option<IncomingCallContext>,
    callback_uri: String,
    options: &AnswerOptions,
    context: OperationContext,
) -> AnswerCallRequest {
    let intelligence = options.cognitive_services_endpoint.as_deref().map(|endpoint| {
        CallIntelligenceOptions { cognitive_services_endpoint: Some(endpoint.to_owned()) }
    });
    AnswerCallRequest {
        incoming_call_context: ticket,
        callback_uri: Some(callback_uri),
        operation_context: Some(context),
        call_intelligence_options: intelligence,
        answered_by: options.answered_by.clone().map(|id| CommunicationUser { id }),
        ..AnswerCallRequest::default()
    }
}

/// These bodies are texts and objects of texts; writing them cannot fail.
fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}
