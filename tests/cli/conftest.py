"""The fixtures of the command's tests."""

from command_line import cli, process

__all__ = ["cli", "process"]
