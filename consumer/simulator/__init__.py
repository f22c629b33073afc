"""A HubSpot for the demo and the tests: as forgetful, as strict and as unreliable as the real one.

`Portal` is the pure core. `consumer.simulator.server` serves it over HTTP, `consumer.simulator.transport` to httpx in
the same process.
"""

from consumer.simulator.accounts import CONTACTS, SCOPES, Account, ContactList
from consumer.simulator.calls import Change, Quirks
from consumer.simulator.faults import KINDS, Fault
from consumer.simulator.messages import Handled, Reply, Request, Violation
from consumer.simulator.portal import Portal

__all__ = [
    "CONTACTS",
    "KINDS",
    "SCOPES",
    "Account",
    "Change",
    "ContactList",
    "Fault",
    "Handled",
    "Portal",
    "Quirks",
    "Reply",
    "Request",
    "Violation",
]
