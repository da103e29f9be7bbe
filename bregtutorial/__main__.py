"""``python -m bregtutorial``."""

import sys

from bregtutorial.cli import main

sys.exit(main())
