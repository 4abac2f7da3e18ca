//! Carrying out a plan: one step after the other, until one succeeds or the telephone is silent.

use std::collections::VecDeque;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde::Serialize;

use super::record::{Attempt, AttemptResult, Fate};
use super::{CallAnswered, RoutingActor, telling};
use crate::ports::{Answer, Repeatability, Request, Tick, UpstreamError};
use crate::pure::routing::{Action, AnswerOptions, CallIds, Leg, Planned};
use crate::wire::calling::{
    AnswerCallRequest, CallConnectionProperties, CallIntelligenceOptions, Operation, Place,
    RedirectCallRequest, RejectCallRequest,
};
use crate::wire::events::grid::IncomingCall;
use crate::wire::identifiers::{CommunicationUser, IncomingCallContext, OperationContext, RawId};

/// A ringing call whose plan is being carried out.
pub(super) struct Acting {
    ticket: IncomingCallContext,
    from: RawId,
    to: RawId,
    ids: CallIds,
    leg: Leg,
    plan: VecDeque<Planned>,
    deadline: Tick,
}

impl Acting {
    pub(super) fn new(call: IncomingCall, plan: Vec<Planned>, deadline: Tick) -> Self {
        Self {
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
struct Trying {
    decision: u64,
    planned: Planned,
    /// What the events of an answer carry.
    context: OperationContext,
}

impl RoutingActor {
    /// Tries the next step, or ends when there is none or the telephone is silent.
    pub(super) fn try_next(&mut self, decision: u64, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let Some(acting) = self.acting.get_mut(&decision) else { return };
        let next = if now < acting.deadline { acting.plan.pop_front() } else { None };
        let Some(planned) = next else { return self.finish(decision, Fate::Failed) };
        if let Action::Redirect { target } = &planned.action {
            self.remembered.guard.follow(now, &acting.leg, target);
        }
        let context = operation_context(&planned.action);
        let Some((operation, body)) = self.body(decision, &planned.action, &context) else {
            return self.finish(decision, Fate::Ignored);
        };
        let at = self.clock.wall();
        let request = Request {
            body,
            repeatability: Some(Repeatability { request_id: uuid::Uuid::new_v4(), first_sent: at }),
            deadline: self.acting.get(&decision).map(|acting| acting.deadline),
            ..Request::new(operation, Place::Nowhere)
        };
        if let Some(record) = self.records.get_mut(decision) {
            let (step, action) = (planned.step, planned.action.label());
            record.attempts.push(Attempt { step, action, at, result: AttemptResult::Pending });
        }
        let trying = Trying { decision, planned, context };
        let azure = std::sync::Arc::clone(&self.azure);
        let sending = async move { azure.send(request).await }.into_actor(self);
        ctx.spawn(sending.map(move |result, actor, ctx| actor.ended(trying, result, ctx)));
    }

    /// The operation and its body; `None` for the action that sends nothing.
    fn body(
        &self,
        decision: u64,
        action: &Action,
        context: &OperationContext,
    ) -> Option<(Operation, Vec<u8>)> {
        let ticket = Some(self.acting.get(&decision)?.ticket.clone());
        match action {
            Action::Redirect { target } => {
                let target = Some(target.identifier());
                let body = RedirectCallRequest { incoming_call_context: ticket, target };
                Some((Operation::RedirectCall, json(&body)))
            }
            Action::Answer(options) => {
                let uri = self.settings.callback_uri.as_str().to_owned();
                let body = answer_body(ticket, uri, options, context.clone());
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
        let attempt = self.records.get_mut(trying.decision).and_then(|r| r.attempts.last_mut());
        if let Some(attempt) = attempt {
            attempt.result = match &result {
                Ok(_) => AttemptResult::Succeeded,
                Err(error) => {
                    AttemptResult::Failed { status: error.status(), problem: error.to_string() }
                }
            };
        }
        match result {
            Ok(answer) => self.succeeded(&trying, &answer, ctx),
            Err(error) => self.failed(&trying, &error, ctx),
        }
    }

    fn succeeded(&mut self, trying: &Trying, answer: &Answer, ctx: &mut Context<Self>) {
        if matches!(trying.planned.action, Action::Answer(_)) {
            self.tell_answered(trying, answer, ctx);
        }
        self.finish(trying.decision, Fate::of_done(&trying.planned.action));
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

    /// Tells whoever leads calls. Waits for room in that mailbox: an answered call must not be lost.
    fn tell_answered(&mut self, trying: &Trying, answer: &Answer, ctx: &mut Context<Self>) {
        let Some(acting) = self.acting.get(&trying.decision) else { return };
        let read: Option<CallConnectionProperties> = serde_json::from_slice(&answer.body).ok();
        let Some((call, read)) =
            read.and_then(|read| Some((read.call_connection_id.clone()?, read)))
        else {
            return telling::answer_unreadable(&acting.ids);
        };
        let news = CallAnswered {
            call: call.clone(),
            server_call: read.server_call_id.or_else(|| acting.ids.server_call.clone()),
            correlation: read.correlation_id.or_else(|| acting.ids.correlation.clone()),
            from: acting.from.clone(),
            to: acting.to.clone(),
            operation_context: trying.context.clone(),
            decision: trying.decision,
        };
        if let Some(record) = self.records.get_mut(trying.decision) {
            record.call_connection_id = Some(call.clone());
        }
        let told = self.answered.send(news).into_actor(self);
        ctx.spawn(told.map(move |result, _, _| {
            if result.is_err() {
                telling::answered_untold(&call);
            }
        }));
    }

    pub(super) fn finish(&mut self, decision: u64, fate: Fate) {
        let ids = self.acting.remove(&decision).map(|acting| acting.ids).unwrap_or_default();
        if let Some(record) = self.records.get_mut(decision) {
            record.fate = Some(fate);
        }
        telling::decided(fate, &ids);
    }
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
