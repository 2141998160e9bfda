"""`python -m jitr.cli` is `jitr`."""

from jitr.cli.main import main

if __name__ == "__main__":
    main()
