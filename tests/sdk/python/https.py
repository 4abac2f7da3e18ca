"""What the Python SDK makes of a connection string: always https. So it must reach the gateway that way."""

import os

from azure.communication.callautomation import CallAutomationClient, PhoneNumberIdentifier

client = CallAutomationClient.from_connection_string(
    os.environ["ACS_CONNECTION_STRING"], connection_verify=os.environ["SWITCHHOOK_CA_FILE"]
)
made = client.create_call(
    PhoneNumberIdentifier("+14255551212"),
    "https://127.0.0.1:9/nobody",
    source_caller_id_number=PhoneNumberIdentifier("+18005551212"),
)
call = client.get_call_connection(made.call_connection_id)
assert call.get_call_properties().call_connection_id == made.call_connection_id
call.hang_up(is_for_everyone=True)
print("ok      a connection string over https")
