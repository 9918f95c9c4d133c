"""python -m tools.kubernetes                    what `make check` runs
python -m tools.kubernetes --checkov PROGRAM  the same, and what that checkov says of the overlays
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tools.kubernetes.checks import VERSIONS, complaints, invalid
from tools.kubernetes.rendering import ROOT, clusters, render

CHECKOV_CONFIG: Final = ROOT / "deploy/k8s/.checkov.yaml"


def checkov(program: str, rendered: dict[str, str], folder: Path) -> bool:
    """True where it finds nothing that is not skipped with a reason."""
    for name, text in rendered.items():
        if name.startswith("overlays/"):
            (folder / f"{name.replace('/', '-')}.yaml").write_text(text)
    command = [program, "--config-file", str(CHECKOV_CONFIG), "--directory", str(folder), "--skip-download"]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks deploy/k8s.")
    parser.add_argument("--checkov", metavar="PROGRAM", help="what checkov says as well")
    arguments = parser.parse_args()
    if not shutil.which("kubectl"):
        print("kubectl is not installed: deploy/k8s is not rendered and not checked")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rendered = render(Path(folder))
        found = list(clusters(rendered))
        sentences = [*complaints(found), *invalid(found)]
        for sentence in sentences:
            print(sentence, file=sys.stderr)
        out = Path(folder, "rendered")
        out.mkdir()
        clean = checkov(arguments.checkov, rendered, out) if arguments.checkov else True
    objects = sum(len(cluster.objects) for cluster in found)
    print(
        f"deploy/k8s: {len(found)} renderings, {objects} objects, Kubernetes {', '.join(VERSIONS)}: {len(sentences)} complaints"
    )
    return 0 if clean and not sentences else 1


if __name__ == "__main__":
    sys.exit(main())
