"""``python -m obert``: the command ``obertc``."""

from ._command import main

main()
