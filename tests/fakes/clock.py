"""Time that passes only when somebody says so."""


class ScriptedClock:
    """Both kinds of time, turned by hand. It begins at an arbitrary monotonic second and at a date in 2026."""

    def __init__(self) -> None:
        self._monotonic = 1_000.0
        self._epoch = 1_780_000_000.0 - self._monotonic

    def monotonic(self) -> float:
        """Seconds for deadlines."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since 1970."""
        return self._epoch + self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the date forward or, with less than 0, back; deadlines know nothing of it."""
        self._epoch += seconds
