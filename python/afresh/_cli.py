"""The ``afresh`` command of the wheel."""

from __future__ import annotations

import sys


def show(codec: str, data: bytes) -> str:
    """A stored value as Python shows it. Loads a pickle: only asked for by ``--unpickle``."""
    from afresh import _afresh
    from afresh.codecs import codec as make_codec

    head, buffers = _afresh.unframe(data)
    return repr(make_codec(codec).decode(codec, head, buffers))


def main() -> None:
    """Runs the command line and exits with its code."""
    import signal

    from afresh import _afresh

    # The program itself knows what to do when interrupted or when nobody reads on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_afresh.main(["afresh", *sys.argv[1:]], show))
