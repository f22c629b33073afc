"""What can go wrong, as types.

ConsumerError
├── ConfigurationError    the configuration is wrong: a person must change it (exit code 2)
│   ├── NotEditable       a place of the file cannot be changed by a program: a person can
│   └── FileChanged       the file is not what it was when it was read
├── SecretUnreadable      the place of a secret cannot be read at the moment
├── SecretUnwritable      a secret cannot be put into its file
└── KafkaFailed           a Kafka client cannot go on: the process ends (exit code 1) and begins again, nothing is lost
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in the configuration.

    `place` is the path in the file, such as `accounts.acme.client_secret`, empty for the file as a whole.
    `line` counts from 1; None where no line of the file is to blame. `rule` and `remedy` are clauses
    without a full stop.
    """

    place: str
    line: int | None
    rule: str
    remedy: str

    def text(self, file: str) -> str:
        """Return it as one line: `FILE:12: place: rule. Remedy.`."""
        where = file if self.line is None else f"{file}:{self.line}"
        what = f"{self.place}: {self.rule}" if self.place else self.rule
        return f"{where}: {what}. {self.remedy}."


class ConsumerError(Exception):
    """Base of every error that this program raises itself."""


class ConfigurationError(ConsumerError):
    """The configuration cannot be used; `problems` holds everything that is wrong with `file`."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(problem.text(file) for problem in problems))
        self.file = file
        self.problems = problems


class NotEditable(ConfigurationError):  # noqa: N818 - the name says what is the case
    """A change of the file would change more than was asked for; nothing was changed."""


class FileChanged(ConfigurationError):  # noqa: N818 - the name says what is the case
    """The file is not what it was when it was read; nothing was written."""


class SecretUnreadable(ConsumerError):  # noqa: N818 - the name says what is the case
    """The file or the environment variable that should hold a value does not give one now."""

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}. {remedy}.")
        self.rule = rule
        self.remedy = remedy


class SecretUnwritable(ConsumerError):  # noqa: N818 - the name says what is the case
    """The file that should hold a value does not take it."""

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}. {remedy}.")
        self.rule = rule
        self.remedy = remedy


class KafkaFailed(ConsumerError):  # noqa: N818 - the name says what is the case
    """A Kafka client met an error that only a new process can mend."""
