//! Who is in a call: inviting, muting, moving.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::call::Call;
use super::cancelling::disturbance;
use super::error::{AskError, WaitError};
use super::outcomes::{AddOutcome, CancelAddOutcome};
use super::pending::{Pending, wants_of};
use crate::acs::operations;
use crate::actors::{Gone, Subscription};
use crate::ports::{self, Clock, Later};
use crate::pure::call::{CloseReason, Heard};
use crate::pure::codes::Codes;
use crate::pure::operations::DEFAULT_PATIENCE;
use crate::wire::calling::{
    AddParticipantRequest, CancelAddParticipantRequest, MoveParticipantsRequest,
    MuteParticipantsRequest, Place,
};
use crate::wire::events::{Detail, EventKind, Participant};
use crate::wire::identifiers::{CallConnectionId, Identifier};

/// Somebody who was invited, and has not answered yet.
///
/// ```no_run
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let invited = call.add_participant(Identifier::phone("+14255550123")).await?;
/// println!("{:?} rings", invited.invitation_id());
/// println!("{:?}", invited.outcome().await?);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it stops waiting for the answer"]
pub struct Invited {
    call: Call,
    pending: Pending<AddOutcome>,
    invitation: Option<String>,
}

impl Invited {
    /// Whether the invited one joins. Await it.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use std::time::Duration;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let invited = call.add_participant(Identifier::phone("+14255550123")).await?;
    /// println!("{:?}", invited.outcome().within(Duration::from_secs(30)).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn outcome(self) -> super::Outcome<AddOutcome> {
        self.pending.outcome()
    }

    /// The id of the invitation, as Azure gave it.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let invited = call.add_participant(Identifier::phone("+14255550123")).await?;
    /// println!("{:?}", invited.invitation_id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn invitation_id(&self) -> Option<&str> {
        self.invitation.as_deref()
    }

    /// Withdraws the invitation. Azure does not say whether the invited one is then told of as failed:
    /// whoever cancels should not wait for both.
    ///
    /// ```no_run
    /// # use switchhook::client::CancelAddOutcome;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let invited = call.add_participant(Identifier::phone("+14255550123")).await?;
    /// let withdrawn = invited.cancel().await?;
    /// assert_eq!(withdrawn.outcome().await?, CancelAddOutcome::Withdrawn);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn cancel(&self) -> Result<Pending<CancelAddOutcome>, AskError> {
        let invitation_id = self.invitation.clone();
        let request = CancelAddParticipantRequest { invitation_id, ..Default::default() };
        self.call.start(request).await
    }
}

impl Call {
    /// Invites somebody. A request may say more: how long it rings, and the number that a telephone
    /// shows, which telephones need.
    ///
    /// ```no_run
    /// # use switchhook::client::AddOutcome;
    /// # use switchhook::wire::calling::AddParticipantRequest;
    /// # use switchhook::wire::identifiers::{Identifier, PhoneNumber};
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = AddParticipantRequest {
    ///     participant_to_add: Some(Identifier::phone("+14255550123")),
    ///     source_caller_id_number: Some(PhoneNumber::new("+18335550100")),
    ///     invitation_timeout_in_seconds: Some(30),
    ///     ..Default::default()
    /// };
    /// match call.add_participant(request).await?.outcome().await? {
    ///     AddOutcome::Joined => println!("now we are three"),
    ///     AddOutcome::Failed(codes) => println!("nobody came: {codes}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn add_participant(
        &self,
        who: impl Into<AddParticipantRequest>,
    ) -> Result<Invited, AskError> {
        let mut request = who.into();
        let pending = self.put_up(wants_of(&mut request)).await?;
        let place = Place::Call(self.id().clone());
        let answer = operations::ask(&*self.inner().azure, &request, place).await?;
        Ok(Invited { call: self.clone(), pending, invitation: answer.invitation_id })
    }

    /// One participant, as Azure has it.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{}", call.participant(&Identifier::phone("+14255550123")).await?.is_on_hold);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; [`AskError::is_not_found`] when the call or the participant is gone.
    pub async fn participant(&self, who: &Identifier) -> Result<Participant, AskError> {
        let (call, who) = (self.id().clone(), who.raw_id().clone());
        Ok(operations::get_participant(&*self.inner().azure, call, who).await?)
    }

    /// Mutes somebody, who can unmute again. Telephones cannot be muted.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// call.mute(Identifier::from_raw_id("8:acs:agent")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses. Its answer is the outcome; no event tells.
    pub async fn mute(&self, who: Identifier) -> Result<(), AskError> {
        let request =
            MuteParticipantsRequest { target_participants: Some(vec![who]), ..Default::default() };
        let place = Place::Call(self.id().clone());
        operations::ask(&*self.inner().azure, &request, place).await?;
        Ok(())
    }

    /// Moves people from another call of ours to this one.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let moved = call.move_here(&"another-call".into(), [Identifier::phone("+14255550123")]).await?.await?;
    /// println!("{} came, {} did not", moved.moved.len(), moved.failed.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn move_here(
        &self,
        from: &CallConnectionId,
        who: impl IntoIterator<Item = Identifier>,
    ) -> Result<Moving, AskError> {
        let who: Vec<_> = who.into_iter().collect();
        let count = who.len();
        let mut request = MoveParticipantsRequest {
            target_participants: Some(who),
            from_call: Some(from.as_str().to_owned()),
            ..Default::default()
        };
        let events = self.listen(wants_of(&mut request)).await?;
        let place = Place::Call(self.id().clone());
        operations::ask(&*self.inner().azure, &request, place).await?;
        let clock = Arc::clone(&self.inner().clock);
        Ok(Moving { events, clock, count, patience: DEFAULT_PATIENCE })
    }
}

impl From<Identifier> for AddParticipantRequest {
    fn from(who: Identifier) -> Self {
        Self { participant_to_add: Some(who), ..Self::default() }
    }
}

/// People on their way from one call to another. Await it (rule C12: one event tells of each).
///
/// ```no_run
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let moving = call.move_here(&"another-call".into(), [Identifier::phone("+14255550123")]).await?;
/// println!("{} came", moving.await?.moved.len());
/// # Ok(())
/// # }
/// ```
#[must_use = "await it to hear who has come"]
pub struct Moving {
    events: Subscription,
    clock: Arc<dyn Clock>,
    count: usize,
    patience: Duration,
}

/// What became of people who were to be moved.
///
/// ```no_run
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let moving = call.move_here(&"another-call".into(), [Identifier::phone("+14255550123")]).await?;
/// let moved = moving.await?;
/// for (_who, codes) in &moved.failed {
///     println!("somebody stays: {codes}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// Who has come.
    pub moved: Vec<Identifier>,
    /// Who has not, and why.
    pub failed: Vec<(Identifier, Codes)>,
    /// Of how many others nothing was heard before the time was over, or the call.
    pub unheard: usize,
}

impl Moving {
    /// Replaces the time of four minutes. It counts from when it is awaited.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use std::time::Duration;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let moving = call.move_here(&"another-call".into(), [Identifier::phone("+14255550123")]).await?;
    /// let _moved = moving.within(Duration::from_secs(10)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    async fn collect(mut self) -> Result<Moved, WaitError> {
        let mut told = Moved { unheard: self.count, ..Moved::default() };
        let mut over = pin!(ports::sleep(&*self.clock, self.patience));
        while told.unheard > 0 {
            match select(pin!(self.events.next()), &mut over).await {
                Either::Left((Ok(heard), _)) => told.note(&heard),
                Either::Left((Err(Gone::Closed(CloseReason::CallEnded)), _)) | Either::Right(_) => {
                    return Ok(told);
                }
                Either::Left((Err(gone), _)) => return Err(disturbance(gone)),
            }
        }
        Ok(told)
    }
}

impl Moved {
    fn note(&mut self, heard: &Heard) {
        self.unheard = self.unheard.saturating_sub(1);
        let who = match &heard.event.detail {
            Detail::Move { participant: Some(who), .. } => who.clone(),
            // Azure left it out.
            _ => Identifier::from_raw_id(""),
        };
        match heard.event.kind {
            EventKind::MoveParticipantSucceeded => self.moved.push(who),
            _ => {
                let (code, sub_code) = heard.event.codes();
                self.failed.push((who, Codes { code, sub_code }));
            }
        }
    }
}

impl IntoFuture for Moving {
    type Output = Result<Moved, WaitError>;
    type IntoFuture = Later<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.collect())
    }
}
