"""Python imports this at its start wherever this folder is in PYTHONPATH: so do the processes that tests start."""

import offline

offline.block()
