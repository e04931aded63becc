"""The command ``obertc``, which the package contains."""

import signal
import sys
from typing import NoReturn

from ._obert import command


def main() -> NoReturn:
    """Runs ``obertc`` with the arguments of the process, and exits with its code."""
    # The command has its own handling of Ctrl-C; Python's would wait for its end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.flush()
    sys.exit(command(["obertc", *sys.argv[1:]]))
