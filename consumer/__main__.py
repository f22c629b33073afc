"""`python -m consumer` is the console command."""

from consumer.cli import NAME, main

main(prog_name=NAME)
