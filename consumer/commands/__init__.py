"""What operators type: one module for each group of commands.

`service`, `check`, `lists`, `results` and `dead_letters` hold the commands; `common` has what they share, `clients`
makes what they ask with, `tables` prints. Results go to stdout, everything else to stderr.
"""
