"""A Schema Registry in memory that may be away."""

from consumer.kafka.registry import Found, Lookup, Unknown, Unreachable


class MemoryRegistry:
    """Answers in the turn after the question."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.away = False
        self.asked = 0
        self._questions: list[int] = []

    def lookup(self, schema_id: int) -> None:
        """Take a question."""
        self.asked += 1
        self._questions.append(schema_id)

    def take(self) -> list[Lookup]:
        """Answer the questions."""
        questions, self._questions = self._questions, []
        return [Lookup(schema_id, self._answer(schema_id)) for schema_id in questions]

    def _answer(self, schema_id: int) -> Found | Unknown | Unreachable:
        if self.away:
            return Unreachable("connection refused")
        return Found(self.schemas[schema_id]) if schema_id in self.schemas else Unknown()
