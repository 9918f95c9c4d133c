"""Crises that happened, out of a directory of recorded prices: the same list that the guardian is measured on (RSK-13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from common.errors import DataError
from research.resilience import EPISODES, Episode, Staged, evaluate

Configure = Callable[[str, str, str], Mapping[str, Any]]  # data, start, end -> configuration


def of_profile(profile: str, data: Path) -> list[Episode]:
    """The episodes of the profile whose files are below `data`. Raises DataError when there are none."""
    known = [episode for episode in EPISODES if episode.profile == profile]
    found = [episode for episode in known if any(any(data.glob(pattern)) for pattern in episode.files)]
    if not found:
        wanted = sorted({pattern for episode in known for pattern in episode.files})
        raise DataError(
            f"{data}: no episode of profile {profile}; expected files {' or '.join(wanted) or 'of another one'}"
        )
    return found


def episodes(
    profile: str, data: Path, configure: Configure, *, resume_after_days: int | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each and how the book went through it, with the guardian."""
    for episode in of_profile(profile, data):
        with Staged(episode, data) as staged:
            config = configure(str(staged.path), episode.start, episode.end)
            yield episode.name, evaluate(episode, config, guarded=True, resume_after_days=resume_after_days)
