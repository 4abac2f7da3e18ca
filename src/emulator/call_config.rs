//! What Azure does not document, or documents in two ways, about calls and who is in them.
//!
//! Owns plain data with defaults; each default is the safe reading.

use std::time::Duration;

/// How an emulated Azure treats a request that is well formed and cannot succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// At once, with an error.
    Refused,
    /// It accepts the request and tells of the failure with the operation's failed event.
    Failed,
}

/// What becomes of a call whose last party was moved to another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptiedCall {
    /// `CallDisconnected`, as when the last party hangs up.
    Ends,
    /// The application stays in it by itself.
    Stays,
}

/// What a transfer from a VoIP user to a telephone needs. Texts of 2023 refuse it; it is supported
/// since the previews of 1.3, with `sourceCallerIdNumber`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoipToTelephone {
    /// It is refused.
    Refused,
    /// It needs a `sourceCallerIdNumber`.
    WithNumber,
    /// It needs nothing.
    Supported,
}

/// How an operation on a call that has ended is refused. The SDKs' authors have seen four codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedCall {
    /// 404 with `8522`.
    NotFound,
    /// 400 with `8501`.
    Code8501,
    /// 400 with `8528`.
    Code8528,
    /// 400 with `8585`.
    Code8585,
}

/// How an `incomingCallContext` is refused that was used to answer, redirect or reject already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedTicket {
    /// 404 with `8522`, like one that does not ring any more.
    NotFound,
    /// 400 with `8501`.
    WrongState,
    /// 409 with `8519`.
    Conflict,
}

/// How calls and participants behave where nothing says how they do.
#[derive(Clone, Debug)]
pub struct CallBehaviour {
    /// How long after `Connect` the application's leg is up.
    pub connect_time: Duration,
    /// `Connect` to a call that is not there. The sample of `ConnectFailed` has the code of that.
    pub connect_missing: Impossible,
    /// Whether `Connect` to a group call that nobody is in begins it. When not, somebody at the far end
    /// has to be there first.
    pub unknown_groups: bool,
    /// Whether `Connect` to a room that nobody is in finds it. Azure has an API of its own to make
    /// rooms; when this is off, somebody at the far end has to be there first.
    pub unknown_rooms: bool,
    /// `MoveParticipants` from a call that is not there. The sample of `MoveParticipantFailed` has the
    /// code of that.
    pub move_missing: Impossible,
    /// A call whose last party was moved away.
    pub emptied_call: EmptiedCall,
    /// `RemoveParticipant` for somebody who is not in the call. 404 is documented for participants
    /// that are gone.
    pub remove_missing: Impossible,
    /// `AddParticipant` for somebody who is in the call already, or is being invited.
    pub add_existing: Impossible,
    /// Whether a cancelled invitation reports `AddParticipantFailed` as well.
    pub cancelled_add_fails: bool,
    /// Whether an invited telephone that declines joins all the same, as if a voicemail picked up. A
    /// public report says that it does.
    pub declined_telephone_joins: bool,
    /// Whether a telephone call can go on after a transfer to a telephone failed. A public report of
    /// 2025 says that it could not be used any more; when this is off, it ends.
    pub failed_transfer_leaves_telephone_call: bool,
    /// A transfer from a VoIP user to a telephone.
    pub voip_to_telephone_transfer: VoipToTelephone,
    /// Whether the Teams tenants let the resource call their users. When not, that is refused with 403.
    pub teams_federated: bool,
    /// Whether a ringing call can be redirected to a Teams user.
    pub redirect_to_teams: bool,
    /// Calls to telephones at a time under one caller id; more are refused. An old table says 2, and
    /// that it is raised on request, so there is no limit unless one is set.
    pub telephone_calls_per_number: Option<usize>,
    /// Whether the caller id for a telephone must be a number of the resource. Azure allows others for
    /// direct routing.
    pub caller_id_must_be_own: bool,
    /// Operations on calls that have ended.
    pub ended_call: EndedCall,
    /// An `incomingCallContext` that comes again.
    pub used_ticket: UsedTicket,
    /// How `IncomingCall` spells the User-To-User header. Official examples have `userToUser`, a
    /// guide has `user-To-User`.
    pub user_to_user: String,
}

impl Default for CallBehaviour {
    fn default() -> Self {
        Self {
            connect_time: Duration::from_millis(50),
            connect_missing: Impossible::Failed,
            unknown_groups: true,
            unknown_rooms: true,
            move_missing: Impossible::Failed,
            emptied_call: EmptiedCall::Ends,
            remove_missing: Impossible::Refused,
            add_existing: Impossible::Refused,
            cancelled_add_fails: false,
            declined_telephone_joins: false,
            failed_transfer_leaves_telephone_call: true,
            voip_to_telephone_transfer: VoipToTelephone::WithNumber,
            teams_federated: true,
            redirect_to_teams: true,
            telephone_calls_per_number: None,
            caller_id_must_be_own: false,
            ended_call: EndedCall::NotFound,
            used_ticket: UsedTicket::NotFound,
            user_to_user: "userToUser".to_owned(),
        }
    }
}
