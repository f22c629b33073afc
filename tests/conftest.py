"""What holds for every test."""

from hypothesis import settings

# No test depends on the speed of its machine.
settings.register_profile("house", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)  # `make test-unit`
settings.load_profile("house")
