"""What holds for every test."""

from hypothesis import settings

# No test depends on the speed of its machine.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
