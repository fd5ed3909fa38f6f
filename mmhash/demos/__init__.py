"""Demonstrations: what hashing costs engines today, and what mmhash saves them.

Each is a subcommand of `mmhash`, registered by name in `mmhash.cli`, and a folder of its own that
knows the command's console and what lies beside this file, but no other demonstration.
"""
