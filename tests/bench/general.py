"""The service without any schema's own decoder: `python -m tests.bench.general` is like `python -m consumer`.

So that can be measured what these decoders are worth.
"""

from consumer import avro
from consumer.cli import main


def none(*_schema: object) -> None:
    """Make no decoder."""


if __name__ == "__main__":
    avro.compile_decoder = none  # type: ignore[assignment, attr-defined]  # a defect on purpose
    main()
