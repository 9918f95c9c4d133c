"""Everything Ballast keeps in one archive, and back (PLT-11)."""

from common.runtime.backup.archive import Archive
from common.runtime.backup.manifest import Manifest
from common.runtime.backup.restore import is_empty, quiet, refill
from common.runtime.backup.save import Servers, save

__all__ = ["Archive", "Manifest", "Servers", "is_empty", "quiet", "refill", "save"]
