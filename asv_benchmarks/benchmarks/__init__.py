"""The suite that asv runs on every commit and that the gate runs on two.

It imports nothing of jitloss but its public names, so that it runs on commits that lack a feature: what a commit
cannot do is skipped, not failed. What all is divided by (`yardsticks`) and worked on (`problems`) is frozen here.
"""

import os
from pathlib import Path

if "ASV_COMMIT" in os.environ:
    # Compiled code of one commit must never be served to another: a folder each, named before numba is imported.
    os.environ["NUMBA_CACHE_DIR"] = str(Path(os.environ["ASV_CONF_DIR"], ".asv", "numba", os.environ["ASV_COMMIT"]))
