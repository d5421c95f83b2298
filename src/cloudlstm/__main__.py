"""`python -m cloudlstm` is the command `cloudlstm`."""

from cloudlstm.cli import entry

if __name__ == "__main__":
    entry()
