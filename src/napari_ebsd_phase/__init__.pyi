# SPDX-License-Identifier: GPL-3.0-or-later
from .centring import centred as centred
from .classifier import Classifier as Classifier
from .errors import InputError as InputError
from .loading import load_classifier as load_classifier
from .mapping import classify as classify
from .phase_map import PhaseMap as PhaseMap
from .regions import identify as identify
from .saliency import explain as explain
from .scan import Scan as Scan
from .scan import load_scan as load_scan

__version__: str
