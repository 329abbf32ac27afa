"""``python -m mailhub``: the command line."""

from mailhub.cli.main import main

main()
