"""`python -m affcli` is the command `affcli`."""

from affcli.cli import main

if __name__ == "__main__":
    main()
