"""The fixtures of the tests of the demonstrations."""

from command_line import cli, process

__all__ = ["cli", "process"]
