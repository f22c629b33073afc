"""The real parts of `tests/real`, for what is deployed around them."""

from tests.real.conftest import authority, bare_world, broker, here, registry, secure_broker

__all__ = ["authority", "bare_world", "broker", "here", "registry", "secure_broker"]
