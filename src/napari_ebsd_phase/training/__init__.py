# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a network: structures, master patterns, simulation, training, evaluation."""
