# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that are the request's fault, and what a user should hear of besides."""


class InputError(ValueError):
    """The request or its input is wrong; one line says what and what to do."""


class SmallerBatches(UserWarning):
    """A device ran out of memory and goes on with fewer patterns at once; results are the same."""
