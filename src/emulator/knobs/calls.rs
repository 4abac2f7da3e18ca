//! `[emulator.calls]`: calls and who is in them.

use super::kinds::{ANY, HOUR, MANY, within};
use super::table;

table! { "calls", config => config.behaviour.calls;
    connect_time, within(0, 24 * HOUR),
        "How long after Connect the application's leg is up.",
        "No time is published; like answering.";
    connect_missing, ANY,
        "Connect to a call that is not there.",
        "The sample of ConnectFailed has the code of that.";
    unknown_groups, ANY,
        "Whether Connect to a group call that nobody is in begins it.",
        "When not, somebody at the far end has to be there first.";
    unknown_rooms, ANY,
        "Whether Connect to a room that nobody is in finds it.",
        "Azure has an API of its own to make rooms; when this is off, somebody at the far end has to be there first.";
    move_missing, ANY,
        "MoveParticipants from a call that is not there.",
        "The sample of MoveParticipantFailed has the code of that.";
    emptied_call, ANY,
        "A call whose last party was moved away.",
        "What becomes of it is documented nowhere.";
    remove_missing, ANY,
        "RemoveParticipant for somebody who is not in the call.",
        "404 is documented for participants that are gone.";
    add_existing, ANY,
        "AddParticipant for somebody who is in the call already, or is being invited.",
        "Only 409 is known to mean that something exists.";
    cancelled_add_fails, ANY,
        "Whether a cancelled invitation reports AddParticipantFailed as well.",
        "Nothing says whether the invitation reports its own end.";
    declined_telephone_joins, ANY,
        "Whether an invited telephone that declines joins all the same, as if a voicemail picked up.",
        "A public report says that it does.";
    failed_transfer_leaves_telephone_call, ANY,
        "Whether a telephone call can go on after a transfer to a telephone failed.",
        "A public report of 2025 says that it could not be used any more; when this is off, it ends.";
    voip_to_telephone_transfer, ANY,
        "A transfer from a VoIP user to a telephone.",
        "Texts of 2023 refuse it; it is supported since the previews of 1.3, with a caller id.";
    teams_federated, ANY,
        "Whether the Teams tenants let the resource call their users.",
        "It depends on the tenants.";
    redirect_to_teams, ANY,
        "Whether a ringing call can be redirected to a Teams user.",
        "Neither confirmed nor denied.";
    telephone_calls_per_number, within(1, MANY),
        "Calls to telephones at a time under one caller id; more are refused; false for none.",
        "An old table says 2, and that it is raised on request, so there is no limit unless one is set.";
    caller_id_must_be_own, ANY,
        "Whether the caller id for a telephone must be a number of the resource.",
        "Azure allows others for direct routing.";
    ended_call, ANY,
        "Operations on calls that have ended.",
        "Four answers have been seen.";
    used_ticket, ANY,
        "An incomingCallContext that comes again.",
        "An error is to be expected; its code is not known.";
    user_to_user, ANY,
        "How IncomingCall spells the User-To-User header.",
        "Official examples have userToUser, a guide has user-To-User.";
}
