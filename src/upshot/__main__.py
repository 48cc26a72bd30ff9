"""`python -m upshot` is `upshot`."""

from upshot.doors.cli.main import main

main()
