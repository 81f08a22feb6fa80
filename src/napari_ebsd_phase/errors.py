# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that are the request's fault."""


class InputError(ValueError):
    """The request or its input is wrong; one line says what and what to do."""
