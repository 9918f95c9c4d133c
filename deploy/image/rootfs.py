"""Python and the libraries it is linked with, in a folder that becomes the root of an image: no shell, no package manager.

`python rootfs.py FOLDER` makes it; `python rootfs.py FOLDER SITE` names what the extension modules in SITE are linked with and
the folder lacks.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

UNUSED: Final = (
    "test",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
    "turtledemo",
    "tkinter",
    "site-packages",
    "dist-packages",
)
FOR_WHEELS: Final = ("libstdc++.so.6", "libgcc_s.so.1", "librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1")
AS_THEY_ARE: Final = (
    "/etc/ssl",
    "/usr/lib/ssl",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/os-release",
    "/usr/lib/os-release",
)
MERGED: Final = ("bin", "sbin", "lib", "lib64")  # links into /usr, as the base has them
ACCOUNTS: Final = "root:x:0:0:root:/:/nonexistent\nballast:x:10001:10001::/tmp:/nonexistent\n"


def make(root: Path) -> None:
    for name in MERGED:
        if Path("/", name).is_symlink():
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
    interpreter, library = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    _copy(root, [interpreter])
    shutil.copytree(library, root / library.relative_to("/"), ignore=_unused, symlinks=False)
    _copy(root, _linked([interpreter, *library.glob("lib-dynload/*.so")]))
    _copy(root, (path for name in FOR_WHEELS if (path := _known(name))))
    for path in map(Path, AS_THEY_ARE):
        if path.is_dir():
            shutil.copytree(path, root / path.relative_to("/"), symlinks=True, ignore=shutil.ignore_patterns("private"))
        elif path.exists():
            _copy(root, [path])
    (root / "etc/passwd").write_text(ACCOUNTS)
    (root / "etc/group").write_text("root:x:0:\nballast:x:10001:\n")
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)
    _output("ldconfig", "-r", root)


def lacking(root: Path, site: Path) -> list[str]:
    """Libraries outside `site` that something in it needs and `root` has not."""
    outside = (path for path in _linked(site.rglob("*.so*")) if not path.is_relative_to(site))
    return sorted({str(path) for path in outside if not (root / path.relative_to("/")).exists()})


def _unused(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in UNUSED or name == "__pycache__" or name.startswith("config-3")}


def _linked(binaries: Iterable[Path]) -> Iterator[Path]:
    for binary in binaries:
        for line in _output(
            "ldd", binary
        ):  # "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x...)", "/lib64/ld-linux... (0x...)"
            if (place := line.rpartition("=>")[2].split("(")[0].strip()).startswith("/"):
                yield Path(place)


def _known(name: str) -> Path | None:
    """Where the loader finds a library."""
    lines = (line for line in _output("ldconfig", "-p") if line.split()[:1] == [name])
    return next((Path(line.rpartition("=> ")[2]) for line in lines), None)


def _output(*command: str | Path) -> list[str]:
    """Its lines; none from `ldd` for what is linked with nothing."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()  # noqa: S603


def _copy(root: Path, paths: Iterable[Path]) -> None:
    """Each with what it links to, at the same place."""
    for path in paths:
        target = root / path.relative_to("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if len(sys.argv) == 2:
        make(folder)
    elif missing := lacking(folder, Path(sys.argv[2])):
        sys.exit(f"the image lacks {', '.join(missing)}: add them to FOR_WHEELS in deploy/image/rootfs.py")
