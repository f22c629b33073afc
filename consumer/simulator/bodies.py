"""What requests to the lists and contacts APIs carry, checked as strictly as HubSpot does."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from consumer.simulator.accounts import CONTACTS, ProcessingType
from consumer.simulator.calls import Change
from consumer.simulator.messages import RefusedError, Request, invalid

MAX_PAGE = 250
MAX_SEARCH = 500
MAX_READ = 100
_LARGEST_ID = 2**63 - 1


def _fits(text: str) -> str:
    if int(text) > _LARGEST_ID:
        raise ValueError("does not fit into 64 bits")
    return text


RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,40}$"), AfterValidator(_fits)]


class Body(BaseModel):
    """A JSON body: camelCase keys, no type is converted, unknown keys are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class MembershipBody(Body):
    """PUT …/memberships/add-and-remove: both arrays are required, of strings."""

    record_ids_to_add: list[RecordId]
    record_ids_to_remove: list[RecordId]


class CreateBody(Body):
    """POST /: a new list."""

    name: str = Field(min_length=1)
    object_type_id: str
    processing_type: ProcessingType


class SearchBody(Body):
    """POST /search."""

    query: str | None = None
    count: int = Field(default=20, ge=1, le=MAX_SEARCH)
    offset: int = Field(default=0, ge=0)
    processing_types: list[ProcessingType] | None = None
    object_type_id: str = CONTACTS


class ContactInput(Body):
    """One contact that is asked for."""

    id: RecordId


class ContactsBody(Body):
    """POST …/contacts/batch/read."""

    inputs: list[ContactInput] = Field(min_length=1, max_length=MAX_READ)
    properties: list[str] = []


class PageQuery(BaseModel):
    """Parameters of a page of members; `after` comes from the page before."""

    limit: int = Field(default=100, ge=1, le=MAX_PAGE)
    after: int = Field(default=0, ge=0)


class LegacyQuery(BaseModel):
    """Parameters of /idmapping."""

    legacy_list_id: int = Field(alias="legacyListId")


Checked = TypeVar("Checked", bound=BaseModel)


def read_json(model: type[Checked], request: Request) -> Checked:
    """Read the body; RefusedError (400) unless it is JSON, says so and has the model's shape."""
    if request.content_type != "application/json":
        raise invalid(f"Content-Type must be application/json, not {request.content_type or 'absent'}.")
    try:
        return model.model_validate_json(request.body)
    except ValidationError as problem:
        raise _refused(problem) from problem


def read_query(model: type[Checked], query: Mapping[str, str]) -> Checked:
    """Read the parameters behind the `?`; RefusedError (400) unless they have the model's shape."""
    try:
        return model.model_validate(query)
    except ValidationError as problem:
        raise _refused(problem) from problem


def read_change(request: Request) -> Change | RefusedError:
    """Read the record ids of a membership request, `007` as 7, or why it is refused."""
    try:
        body = read_json(MembershipBody, request)
    except RefusedError as refused:
        return refused
    adds = dict.fromkeys(int(text) for text in body.record_ids_to_add)
    removes = dict.fromkeys(int(text) for text in body.record_ids_to_remove)
    return Change(tuple(adds), tuple(removes))


def _refused(problem: ValidationError) -> RefusedError:
    errors = [
        {"message": error["msg"], "in": ".".join(str(part) for part in error["loc"]) or "body"}
        for error in problem.errors(include_url=False, include_context=False, include_input=False)
    ]
    return invalid(f"{errors[0]['in']}: {errors[0]['message']}", errors=errors)
