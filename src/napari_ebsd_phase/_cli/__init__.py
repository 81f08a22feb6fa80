# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the command line, one file a group.

Each file has ``add(commands)``, which describes its commands, and functions that run them. Nothing
heavy is imported before a command runs, so that ``--help`` answers at once.
"""
