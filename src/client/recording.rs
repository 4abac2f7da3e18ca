//! Recording a call.

use std::fmt;

use serde_json::json;

use super::call::Call;
use super::error::AskError;
use super::outcomes::RecordingOutcome;
use super::pending::Pending;
use crate::acs::operations;
use crate::ports::UpstreamError;
use crate::pure::call::Wants;
use crate::pure::filter::Filter;
use crate::pure::operations::endings;
use crate::wire::calling::{
    ExternalStorage, Operation, Place, RecordingStateResponse, StartRecordingRequest,
};
use crate::wire::events::EventKind;

/// How a call is to be recorded.
///
/// ```
/// # use switchhook::client::Recording;
/// let minutes = Recording::mixed().mp3();
/// let evidence = Recording::unmixed().stored_at("https://acme.example/evidence").paused();
/// # let _ = (minutes, evidence);
/// ```
#[derive(Clone, PartialEq)]
pub struct Recording(StartRecordingRequest);

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recording(…)")
    }
}

impl Recording {
    /// Everybody on one track, as WAV.
    ///
    /// ```
    /// # use switchhook::client::Recording;
    /// let recording = Recording::mixed();
    /// ```
    pub fn mixed() -> Self {
        Self::of("audio", "mixed", "wav")
    }

    /// Everybody on a channel of their own, as WAV; at most five.
    ///
    /// ```
    /// # use switchhook::client::Recording;
    /// let recording = Recording::unmixed();
    /// ```
    pub fn unmixed() -> Self {
        Self::of("audio", "unmixed", "wav")
    }

    /// Pictures, too, as MP4.
    ///
    /// ```
    /// # use switchhook::client::Recording;
    /// let recording = Recording::video();
    /// ```
    pub fn video() -> Self {
        Self::of("audioVideo", "mixed", "mp4")
    }

    fn of(content: &str, channel: &str, format: &str) -> Self {
        Self(StartRecordingRequest {
            recording_content_type: Some(content.to_owned()),
            recording_channel_type: Some(channel.to_owned()),
            recording_format_type: Some(format.to_owned()),
            ..StartRecordingRequest::default()
        })
    }

    /// … as MP3. For mixed sound only.
    ///
    /// ```
    /// # use switchhook::client::Recording;
    /// let small = Recording::mixed().mp3();
    /// ```
    #[must_use]
    pub fn mp3(mut self) -> Self {
        self.0.recording_format_type = Some("mp3".to_owned());
        self
    }

    /// … and waits to be resumed.
    ///
    /// ```
    /// # use switchhook::client::Recording;
    /// let later = Recording::mixed().paused();
    /// ```
    #[must_use]
    pub fn paused(mut self) -> Self {
        self.0.pause_on_start = Some(true);
        self
    }

    /// … into a blob container of our own.
    ///
    /// ```
    /// # use switchhook::client::Recording;
    /// let ours = Recording::mixed().stored_at("https://acme.example.test/recordings");
    /// ```
    #[must_use]
    pub fn stored_at(mut self, container_url: impl Into<String>) -> Self {
        self.0.external_storage = Some(ExternalStorage {
            recording_storage_kind: Some("azureBlobStorage".to_owned()),
            recording_destination_container_url: Some(container_url.into()),
        });
        self
    }
}

/// A recording of a call. Dropping it stops nothing.
///
/// ```no_run
/// # use switchhook::client::Recording;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let mut recorder = call.record(Recording::mixed()).await?;
/// println!("recording {}", recorder.id());
/// let _over = recorder.stop().await?.outcome().await?;
/// # Ok(())
/// # }
/// ```
pub struct Recorder {
    call: Call,
    id: String,
    begun: Option<Pending<RecordingOutcome>>,
}

impl Call {
    /// Records this call. The events of a recording carry no context; they are told apart by its id.
    ///
    /// ```no_run
    /// # use switchhook::client::{Recording, RecordingOutcome};
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut recorder = call.record(Recording::mixed()).await?;
    /// if let Some(begun) = recorder.begun() {
    ///     assert_eq!(begun.outcome().await?, RecordingOutcome::Active);
    /// }
    /// let _over = recorder.stop().await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn record(&self, how: Recording) -> Result<Recorder, AskError> {
        let begun = self.put_up(Wants::kinds(endings(Operation::StartRecording))).await?;
        let request = StartRecordingRequest {
            call_connection_id: Some(self.id().as_str().to_owned()),
            recording_state_callback_uri: Some(self.inner().callback_uri.clone()),
            ..how.0
        };
        let answer = operations::ask(&*self.inner().azure, &request, Place::Nowhere).await?;
        let id = answer.recording_id.ok_or_else(no_id)?;
        Ok(Recorder { call: self.clone(), id, begun: Some(begun) })
    }

    /// A recording of this call that exists already.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let state = call.recorder("an-id").state().await?.recording_state;
    /// println!("{state:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn recorder(&self, recording_id: impl Into<String>) -> Recorder {
        Recorder { call: self.clone(), id: recording_id.into(), begun: None }
    }
}

fn no_id() -> AskError {
    let reason = "no recordingId in the answer".to_owned();
    let operation = Operation::StartRecording.label();
    AskError::Upstream(UpstreamError::Unreadable { operation, reason })
}

impl Recorder {
    /// Its id: opaque.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let recorder = call.recorder("an-id");
    /// assert_eq!(recorder.id(), "an-id");
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it has begun; `None` when that was asked before, or it was not begun here.
    ///
    /// ```no_run
    /// # use switchhook::client::Recording;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut recorder = call.record(Recording::mixed()).await?;
    /// if let Some(begun) = recorder.begun() {
    ///     println!("{:?}", begun.outcome().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn begun(&mut self) -> Option<Pending<RecordingOutcome>> {
        self.begun.take()
    }

    /// How it is, as Azure has it.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{:?}", call.recorder("an-id").state().await?.recording_state);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; [`AskError::is_not_found`] when it is over.
    pub async fn state(&self) -> Result<RecordingStateResponse, AskError> {
        Ok(operations::get_recording(&*self.call.inner().azure, &self.id).await?)
    }

    /// Pauses it.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let recorder = call.recorder("an-id");
    /// let _silent = recorder.pause().await?.outcome().await?;
    /// let _again = recorder.resume().await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn pause(&self) -> Result<Pending<RecordingOutcome>, AskError> {
        self.change(Operation::PauseRecording, "inactive").await
    }

    /// Goes on with it.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let _again = call.recorder("an-id").resume().await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn resume(&self) -> Result<Pending<RecordingOutcome>, AskError> {
        self.change(Operation::ResumeRecording, "active").await
    }

    /// Ends it. Its files are told of by Event Grid.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let _over = call.recorder("an-id").stop().await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn stop(&self) -> Result<Pending<RecordingOutcome>, AskError> {
        self.change(Operation::StopRecording, "inactive").await
    }

    async fn change(
        &self,
        operation: Operation,
        state: &str,
    ) -> Result<Pending<RecordingOutcome>, AskError> {
        let is = |key: &str, value: &str| json!({ "operatorType": "StringIn", "key": key, "values": [value] });
        let mine = json!([is("data.recordingId", &self.id), is("data.state", state)]);
        let mut wants = Wants::kinds(&[EventKind::RecordingStateChanged]);
        if let Ok(mine) = Filter::parse(&mine) {
            wants = wants.filter(mine);
        }
        let pending = self.call.put_up(wants).await?;
        operations::change_recording(&*self.call.inner().azure, operation, &self.id).await?;
        Ok(pending)
    }
}
