"""The first process of an image. Its root is read-only, and numba uses a cache only where it could also write: it gets a copy
of the kernels compiled into the image.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

if __name__ == "__main__":
    Path(os.environ["BALLAST_HOME"]).mkdir(parents=True, exist_ok=True)
    shutil.copytree("/app/kernels", os.environ["NUMBA_CACHE_DIR"], dirs_exist_ok=True)
    os.execv(sys.executable, [sys.executable, "-m", os.environ["BALLAST_SERVICE"]])  # noqa: S606 no shell is meant
