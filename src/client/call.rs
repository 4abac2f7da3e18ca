//! One call, as its application sees it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use super::cancelling::Cancelling;
use super::connecting::Connecting;
use super::error::AskError;
use super::listening::Listening;
use super::outcomes::{
    ConnectOutcome, Ends, PlayOutcome, RecognizeOutcome, RemoveOutcome, SendDtmfOutcome,
    TransferOutcome,
};
use super::pending::{Pending, wants_of};
use super::{Client, Inner};
use crate::acs::operations;
use crate::actors::Subscription;
use crate::ports::UpstreamError;
use crate::pure::call::{Ending, Wants};
use crate::pure::operations::endings;
use crate::wire::calling::{
    CallConnectionProperties, Operation, Place, PlayRequest, RecognizeRequest,
    RemoveParticipantRequest, SendDtmfTonesRequest, TransferToParticipantRequest, WithContext,
};
use crate::wire::events::{CallEvent, EventKind, Participant};
use crate::wire::identifiers::{CallConnectionId, Identifier};

/// One call connection. Cheap to clone; dropping it hangs nothing up.
///
/// ```no_run
/// # use switchhook::client::Prompt;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let caller = Identifier::phone("+14255550123");
/// let _played = call.play(Prompt::say("Please hold.")).await?.outcome().await?;
/// let _moved_on = call.transfer(caller).await?.outcome().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Call {
    client: Client,
    id: CallConnectionId,
    /// The wait that was put up when the call was made, until somebody asks for its outcome.
    connecting: Arc<Mutex<Option<Pending<ConnectOutcome>>>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.id)
    }
}

impl Call {
    pub(super) fn existing(client: Client, id: CallConnectionId) -> Self {
        Self { client, id, connecting: Arc::default() }
    }

    pub(super) fn connecting(
        client: Client,
        id: CallConnectionId,
        pending: Pending<ConnectOutcome>,
    ) -> Self {
        Self { client, id, connecting: Arc::new(Mutex::new(Some(pending))) }
    }

    /// The id of this leg.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("talking on {}", call.id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(&self) -> &CallConnectionId {
        &self.id
    }

    /// Whether the call came up. Await it, or give it a time first.
    ///
    /// ```no_run
    /// # use switchhook::client::ConnectOutcome;
    /// # use std::time::Duration;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// match call.connected().within(Duration::from_secs(40)).await? {
    ///     ConnectOutcome::Connected => println!("somebody is there"),
    ///     ConnectOutcome::Failed(codes) | ConnectOutcome::Ended(codes) => println!("{codes}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connected(&self) -> Connecting<'_> {
        Connecting::of(self)
    }

    /// Plays something, to everybody unless it says otherwise.
    ///
    /// ```no_run
    /// # use switchhook::client::{PlayOutcome, Prompt};
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let played = call.play(Prompt::say("Welcome.")).await?;
    /// if let PlayOutcome::Failed { codes, .. } = played.outcome().await? {
    ///     eprintln!("not played: {codes}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn play(
        &self,
        what: impl Into<PlayRequest>,
    ) -> Result<Pending<PlayOutcome>, AskError> {
        self.start(what.into()).await
    }

    /// Listens for keys, choices or words.
    ///
    /// ```no_run
    /// # use switchhook::client::{Listen, Prompt, RecognizeOutcome};
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let question = Prompt::say("Your PIN, please.");
    /// let caller = Identifier::phone("+14255550123");
    /// let heard = call.recognize(Listen::for_keys(caller, 4).after(question)).await?;
    /// if let RecognizeOutcome::Dtmf(keys) = heard.outcome().await? {
    ///     assert_eq!(keys.digits().len(), 4);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn recognize(
        &self,
        what: impl Into<RecognizeRequest>,
    ) -> Result<Pending<RecognizeOutcome>, AskError> {
        self.start(what.into()).await
    }

    /// Presses keys, at most 18, spelt as Azure spells them, for one telephone participant to hear.
    ///
    /// ```no_run
    /// # use switchhook::client::SendDtmfOutcome;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let sent = call.send_dtmf(Identifier::phone("+14255550123"), ["one", "two", "pound"]).await?;
    /// assert_eq!(sent.outcome().await?, SendDtmfOutcome::Sent);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn send_dtmf(
        &self,
        to: Identifier,
        tones: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Pending<SendDtmfOutcome>, AskError> {
        self.start(SendDtmfTonesRequest {
            tones: Some(tones.into_iter().map(Into::into).collect()),
            target_participant: Some(to),
            ..SendDtmfTonesRequest::default()
        })
        .await
    }

    /// Cancels everything that plays or listens.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// for cancelled in call.cancel_media().await?.await? {
    ///     println!("{} was cut off", cancelled.kind.short_name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses.
    pub async fn cancel_media(&self) -> Result<Cancelling, AskError> {
        let wants = Wants::kinds(endings(Operation::CancelAllMediaOperations));
        let events = self.listen(wants).await?;
        operations::cancel_all_media(&*self.inner().azure, self.id.clone()).await?;
        Ok(Cancelling::new(events, Arc::clone(&self.inner().clock)))
    }

    /// Hands the other party over to `target`. For groups and options, see [`Self::transfer_with`].
    ///
    /// ```no_run
    /// # use switchhook::client::TransferOutcome;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let transfer = call.transfer(Identifier::phone("+14255550123")).await?;
    /// if let TransferOutcome::Failed(codes) = transfer.outcome().await? {
    ///     eprintln!("the call goes on: {codes}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn transfer(&self, target: Identifier) -> Result<Pending<TransferOutcome>, AskError> {
        let target_participant = Some(target);
        let request = TransferToParticipantRequest { target_participant, ..Default::default() };
        self.transfer_with(request).await
    }

    /// Transfers as the request says.
    ///
    /// ```no_run
    /// # use switchhook::wire::calling::TransferToParticipantRequest;
    /// # use switchhook::wire::identifiers::{Identifier, PhoneNumber};
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = TransferToParticipantRequest {
    ///     target_participant: Some(Identifier::phone("+14255550123")),
    ///     source_caller_id_number: Some(PhoneNumber::new("+18335550100")),
    ///     ..Default::default()
    /// };
    /// let _outcome = call.transfer_with(request).await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn transfer_with(
        &self,
        request: TransferToParticipantRequest,
    ) -> Result<Pending<TransferOutcome>, AskError> {
        self.start(request).await
    }

    /// Removes somebody.
    ///
    /// ```no_run
    /// # use switchhook::client::RemoveOutcome;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let removed = call.remove_participant(Identifier::phone("+14255550123")).await?;
    /// assert_eq!(removed.outcome().await?, RemoveOutcome::Removed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn remove_participant(
        &self,
        who: Identifier,
    ) -> Result<Pending<RemoveOutcome>, AskError> {
        let participant_to_remove = Some(who);
        self.start(RemoveParticipantRequest { participant_to_remove, ..Default::default() }).await
    }

    /// Leaves the call, which ends it when it has two parties. A call that is over already counts
    /// as left.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let ended = call.ended().await?;
    /// call.hang_up().await?;
    /// ended.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses or cannot be reached.
    pub async fn hang_up(&self) -> Result<(), AskError> {
        over_is_fine(operations::hang_up(&*self.inner().azure, self.id.clone()).await)
    }

    /// Ends the call for everybody. A call that is over already counts as ended.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// call.terminate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses or cannot be reached.
    pub async fn terminate(&self) -> Result<(), AskError> {
        over_is_fine(operations::terminate(&*self.inner().azure, self.id.clone()).await)
    }

    /// Everybody in the call, as Azure has it.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// for participant in call.participants().await? {
    ///     println!("muted: {}", participant.is_muted);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; [`AskError::is_not_found`] when the call is over.
    pub async fn participants(&self) -> Result<Vec<Participant>, AskError> {
        Ok(operations::list_participants(&*self.inner().azure, self.id.clone()).await?)
    }

    /// The call's properties, as Azure has them.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let state = call.properties().await?.call_connection_state;
    /// assert_eq!(state.as_deref(), Some("connected"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; [`AskError::is_not_found`] when the call is over.
    pub async fn properties(&self) -> Result<CallConnectionProperties, AskError> {
        Ok(operations::get_call(&*self.inner().azure, self.id.clone()).await?)
    }

    /// Waits for any event. The wait stands when this returns.
    ///
    /// ```no_run
    /// # use switchhook::pure::call::Wants;
    /// # use switchhook::wire::events::EventKind;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let joined = call.wait_for(Wants::kinds(&[EventKind::ParticipantsUpdated])).await?;
    /// println!("{}", joined.outcome().await?.kind.short_name());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when the call cannot take another wait now.
    pub async fn wait_for(&self, wants: Wants) -> Result<Pending<Arc<CallEvent>>, AskError> {
        self.put_up(wants).await
    }

    /// Waits for the call's end. The wait stands when this returns.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let ending = call.ended().await?.outcome().await?;
    /// println!("{:?}", ending.cause);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when the call cannot take another wait now.
    pub async fn ended(&self) -> Result<Pending<Ending>, AskError> {
        self.put_up(Wants::kinds(&[EventKind::CallDisconnected])).await
    }

    /// Runs `handler` for every event of these types from now on, one after the other. No types mean
    /// every event. Keep the guard: dropping it detaches the handler.
    ///
    /// ```no_run
    /// # use switchhook::wire::events::EventKind;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let guard = call.on(&[EventKind::ParticipantsUpdated], |event| async move {
    ///     println!("{}", event.kind.short_name());
    /// }).await?;
    /// drop(guard); // and no more
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when the call cannot take another listener now.
    pub async fn on<F, Fut>(&self, kinds: &[EventKind], handler: F) -> Result<Listening, AskError>
    where
        F: FnMut(Arc<CallEvent>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let wants = if kinds.is_empty() { Wants::any() } else { Wants::kinds(kinds) };
        Ok(Listening::start(self.listen(wants).await?, handler))
    }

    /// Events as they come, to be pulled one by one.
    ///
    /// ```no_run
    /// # use switchhook::pure::call::Wants;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut events = call.listen(Wants::any()).await?;
    /// while let Ok(heard) = events.next().await {
    ///     println!("{}", heard.event.kind.short_name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when the call cannot take another listener now.
    pub async fn listen(&self, wants: Wants) -> Result<Subscription, AskError> {
        Ok(self.inner().calls.subscribe(&self.id, wants, None).await?)
    }

    /// Puts up the wait, then sends the request (rule C13). A request that fails takes its wait down
    /// with it: the wait is dropped on the way out.
    pub(super) async fn start<M: WithContext, T: Ends>(
        &self,
        mut request: M,
    ) -> Result<Pending<T>, AskError> {
        let pending = self.put_up(wants_of(&mut request)).await?;
        let place = Place::Call(self.id.clone());
        operations::ask(&*self.inner().azure, &request, place).await?;
        Ok(pending)
    }

    pub(super) async fn put_up<T: Ends>(&self, wants: Wants) -> Result<Pending<T>, AskError> {
        Ok(Pending::put_up(&self.inner().calls, &self.id, wants).await?)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.client.0
    }

    pub(super) fn take_connecting(&self) -> Option<Pending<ConnectOutcome>> {
        // Nothing can panic while the lock is held; the value is whole.
        self.connecting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn over_is_fine(answer: Result<(), UpstreamError>) -> Result<(), AskError> {
    match answer {
        Err(UpstreamError::Refused { status: 404, .. }) => Ok(()),
        answer => Ok(answer?),
    }
}
