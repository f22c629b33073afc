"""The setup itself: all that its pages and its terminal do, one method a step.

Steps that a person repeats are safe to repeat: what was chosen so far is an argument, not a state. Kept in here are the
accounts that are not in the file yet, what HubSpot has granted meanwhile, and the states of authorizations under way.
"""

from collections.abc import Mapping
from pathlib import Path

from consumer.secret import Redactor
from consumer.setup.words import (
    AccountForm,
    Choice,
    Commands,
    ConnectorView,
    Filling,
    Granted,
    ListOption,
    Overview,
    Proof,
    Saved,
    Sources,
)


class Session:
    """One setup of the file `config`; any thread may use it. Each step raises SetupProblem where it does not succeed.

    `redirect_uri` is where HubSpot sends the browser back to.
    """

    def __init__(self, config: Path, environ: Mapping[str, str], redirect_uri: str, redactor: Redactor) -> None:
        raise NotImplementedError

    # What there is.

    def overview(self) -> Overview:
        """Give accounts and connectors, as the file has them now, and accounts that wait to be saved."""
        raise NotImplementedError

    def connector(self, name: str) -> ConnectorView:
        """Give one connector of the file."""
        raise NotImplementedError

    def connect_kafka(self, servers: str, group_id: str, registry_url: str) -> None:
        """Say where Kafka and the registry are, where the file does not; written when something is saved."""
        raise NotImplementedError

    # Accounts.

    def add_account(self, form: AccountForm, *, new: bool) -> None:
        """Take a new account, or other credentials for one that is there; written with its first connector."""
        raise NotImplementedError

    def consent_url(self, account: str) -> str:
        """Give the address of HubSpot's consent page for an account, with a fresh state that is good once."""
        raise NotImplementedError

    def finish(self, answer: Mapping[str, str]) -> Granted:
        """Take the parameters (`code`, `state`, `error`…) with which HubSpot sent the browser back.

        The refresh token of an account of the file is written into its secret file at once.
        """
        raise NotImplementedError

    # The list.

    def find_lists(self, account: str, text: str = "") -> list[ListOption]:
        """Give contact lists whose name contains `text`, active ones as well, at most 100, by name."""
        raise NotImplementedError

    def look_up(self, account: str, list_id: int) -> ListOption:
        """Give one list by its id. An id of an older API: SetupProblem `older_id`, which names the present one."""
        raise NotImplementedError

    def create_list(self, account: str, name: str) -> ListOption:
        """Make an empty manual contact list; `name_taken` (field `name`) where the name is taken."""
        raise NotImplementedError

    # The source.

    def sources(self) -> Sources:
        """Give the audiences and journeys of the topics' recent events, the busiest first."""
        raise NotImplementedError

    # Proof and saving. `replacing`: the name of the connector that is edited, None for a new one.

    def free_name(self, wanted: str) -> str:
        """Give a connector's name like `wanted` (a list's name) that is not taken."""
        raise NotImplementedError

    def prove(self, choice: Choice, replacing: str | None = None) -> Proof:
        """Check all that can be checked, and show the request that the source's last events would make."""
        raise NotImplementedError

    def save(self, choice: Choice, replacing: str | None = None) -> Saved:
        """Write the connector, and its account if that is new, into the file, and new secrets into theirs."""
        raise NotImplementedError

    def commands(self, choice: Choice, replacing: str | None = None) -> Commands:
        """Give what to type for Kubernetes instead; new secrets are written into their files."""
        raise NotImplementedError

    # What is there already.

    def enable(self, connector: str, *, enabled: bool) -> Saved:
        """Switch a connector of the file on or off."""
        raise NotImplementedError

    def remove(self, connector: str) -> Saved:
        """Take a connector out of the file; its list stays as it is."""
        raise NotImplementedError

    def fill(self, connector: str) -> Filling:
        """Begin to rebuild the connector's list from the log, in the background; one at a time."""
        raise NotImplementedError

    def filling(self, connector: str) -> Filling | None:
        """Say how far that is; None if none was begun."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop what runs in the background, and close connections."""
        raise NotImplementedError
