"""``python -m afresh`` is the ``afresh`` command."""

from afresh._cli import main

main()
