"""Setting up: connect an account, pick or create its list, attach that to an audience or journey, prove it, save it.

`session.Session` does it; `pages` leads a browser through it, `consumer.commands.terminal` a shell. `words` is what
they tell each other.
"""
