# SPDX-License-Identifier: GPL-3.0-or-later
"""Where patterns come from: one file a family of formats, all giving a `Recording`."""
