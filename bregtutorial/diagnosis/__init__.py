"""What looks wrong with a sparse training run, in words: where, the number that shows it, the cure.

The dual variables remember the run, so one look at model and optimizer is enough; nothing has to be recorded before.

Book: Frontiers, "Failures and cures".
"""

from bregtutorial.diagnosis.examine import diagnose
from bregtutorial.diagnosis.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
