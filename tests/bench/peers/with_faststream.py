"""Membership changes to HubSpot lists with FastStream, as somebody would write it who has read its documentation.

FastStream 0.7.8, "Batch Subscriber" of the Confluent broker (docs/en/confluent/Subscriber/batch_subscriber.md in
ag2ai/faststream), bounded by `max_records` and `polling_interval`; "Consuming Acknowledgements" (docs/en/confluent/
ack.md): `AckPolicy.NACK_ON_ERROR`, and `NackMessage` to read the batch again; "Custom Codec" (docs/en/getting-started/
serialization/codec.md), whose example for a Schema Registry reads with fastavro and the writer's schema; `NoCast` as in
"Serialization examples", for events that Avro has checked. A nack reads again at once, so the handler sleeps before it,
as long as `Retry-After` says.

Beyond the documentation: the newest change of each contact in a batch wins, and additions and removals of a list leave
in one request; requests of several lists are on the wire at once. What HubSpot refuses for good is logged and left out,
or its batch would be read for ever.

The one argument is JSON: bootstrap, group, topic, registry (url, user), hubspot (url, client_id, client_secret,
refresh_token), lists (source id to list id), batch_seconds, batch_events, max_contacts.
"""

import asyncio
import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import httpx
from confluent_kafka.schema_registry import SchemaRegistryClient
from fastavro import parse_schema, schemaless_reader
from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker
from faststream.confluent.annotations import NoCast
from faststream.exceptions import NackMessage

TRY_AGAIN = {408, 423, 429, 477, 502, 503, 504, 521, 523, 524}
TEN_SECONDS = 10.0  # HubSpot's quota is one of ten seconds, and its 429 seldom says more
AT_ONCE = 10  # requests on the wire

log = logging.getLogger("hubspot")


class RegistryCodec:
    """Reads Avro in the Confluent wire format: a byte 0, four of the schema's id, the record."""

    def __init__(self, url: str, user: str) -> None:
        self._registry = SchemaRegistryClient({"url": url, "basic.auth.user.info": user})
        self._schemas: dict[int, Any] = {}

    async def decode_batch(self, msg: Any) -> list[Any]:  # noqa: ANN401 - the library's own, which is not typed for us
        """Read each message of a batch."""
        return [self._read(value) for value in msg.body]

    async def encode_batch(self, msgs: Sequence[Any], serializer: object = None) -> list[tuple[bytes, str | None]]:
        """Nothing is published here, but a codec for batches must have it."""
        raise NotImplementedError

    def _read(self, value: bytes) -> object:
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id not in self._schemas:
            self._schemas[schema_id] = parse_schema(json.loads(self._registry.get_schema(schema_id).schema_str or ""))
        return schemaless_reader(BytesIO(value[5:]), self._schemas[schema_id], None)


class HubSpot:
    """The lists API of one account."""

    def __init__(self, url: str, client_id: str, client_secret: str, refresh_token: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=30.0)
        self._form = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
        }
        self._token = ""
        self._good_until = 0.0
        self._refreshing = asyncio.Lock()

    async def add_and_remove(self, list_id: int, add: list[str], remove: list[str]) -> httpx.Response:
        """Change who is on a list. httpx.HTTPError if there is no answer, or no token."""
        return await self._client.put(
            f"/crm/lists/2026-03/{list_id}/memberships/add-and-remove",
            json={"recordIdsToAdd": add, "recordIdsToRemove": remove},
            headers={"Authorization": f"Bearer {await self._access_token()}"},
        )

    async def _access_token(self) -> str:
        async with self._refreshing:
            if time.monotonic() >= self._good_until:
                answer = (await self._client.post("/oauth/2026-03/token", data=self._form)).raise_for_status().json()
                self._token = answer["access_token"]
                self._good_until = time.monotonic() + answer["expires_in"] - 60
        return self._token


class Lists:
    """Keeps the lists of some sources."""

    def __init__(self, hubspot: HubSpot, lists: dict[str, int], max_contacts: int) -> None:
        self._hubspot = hubspot
        self._lists = lists
        self._max_contacts = max_contacts
        self._wire = asyncio.Semaphore(AT_ONCE)

    async def apply(self, changes: list[dict[str, Any]]) -> None:
        """Send one batch, a request for each list in it. NackMessage, some time later, if not all of it was taken."""
        newest: dict[int, dict[str, str]] = defaultdict(dict)
        for change in changes:
            list_id = self._lists.get(change["source_id"])
            contact = change["identifiers"].get("2006")
            if list_id is not None and contact is not None:
                newest[list_id][contact] = change["transition"]
        sends = [
            self._send(list_id, contacts[start : start + self._max_contacts])
            for list_id, transitions in newest.items()
            for contacts in [list(transitions.items())]
            for start in range(0, len(contacts), self._max_contacts)
        ]
        if wait := max(await asyncio.gather(*sends), default=0.0):
            await asyncio.sleep(wait)
            raise NackMessage

    async def _send(self, list_id: int, contacts: list[tuple[str, str]]) -> float:
        """Send one request; give the seconds after which it is to be tried again, 0 if it is not."""
        add = [contact for contact, transition in contacts if transition == "ENTER"]
        remove = [contact for contact, transition in contacts if transition == "EXIT"]
        try:
            async with self._wire:
                answer = await self._hubspot.add_and_remove(list_id, add, remove)
        except httpx.HTTPError as problem:
            log.warning("list %d: %r", list_id, problem)
            return TEN_SECONDS
        if answer.status_code in TRY_AGAIN:
            return float(answer.headers.get("Retry-After", TEN_SECONDS))
        if answer.is_error:
            log.error("list %d: %d, %s", list_id, answer.status_code, answer.text)
        return 0.0


async def main(settings: dict[str, Any]) -> None:
    """Run until a signal comes."""
    broker = KafkaBroker(settings["bootstrap"])
    lists = Lists(HubSpot(**settings["hubspot"]), settings["lists"], settings["max_contacts"])

    @broker.subscriber(
        settings["topic"],
        group_id=settings["group"],
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        batch=True,
        max_records=settings["batch_events"],
        polling_interval=settings["batch_seconds"],
        codec=RegistryCodec(**settings["registry"]),
    )
    async def handle(changes: NoCast[list[dict[str, Any]]]) -> None:
        await lists.apply(changes)

    await FastStream(broker).run()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
