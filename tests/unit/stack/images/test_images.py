"""What people are told of a pull while it runs."""

from roas.stack.images.pull import PullProgress


def test_pull_progress_never_decreases() -> None:
    progress = PullProgress()
    fractions = []
    for message in (
        {"status": "Pulling from library/app", "id": "v1"},
        {"status": "Pulling fs layer", "id": "a"},
        {"status": "Already exists", "id": "b"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 50, "total": 100}},
        {"status": "Download complete", "id": "a"},
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 50, "total": 100}},
        {"status": "Pull complete", "id": "a"},
    ):
        progress.take(message)
        fractions.append(progress.fraction)
    assert fractions == [None, 0.0, 0.5, 0.625, 0.75, 0.875, 1.0]
