"""The line that tells how far many runs are: a bar, the count, the time left, and what screen readers are told."""

import re

from tests.support.panel import shown_status
from ui.views.progress import ProgressBar, status_line


def told(html):
    return re.search(r'role="status">(.*?)</span>', html)[1]


def lines(total, seconds):
    """The lines of a bar of so many runs, of which each takes `seconds`."""
    clock = iter(seconds * count for count in range(total + 1))
    bar = ProgressBar(total, clock=lambda: next(clock))
    return [bar.at(done) for done in range(total + 1)]


def test_the_time_left_is_that_of_the_runs_so_far():
    shown = [shown_status(line) for line in lines(4, 5.0)]
    assert shown == [
        "0 of 4 runs",
        "1 of 4 runs, about 15 seconds left",
        "2 of 4 runs, about 10 seconds left",
        "3 of 4 runs, about 5 seconds left",
        "4 of 4 runs",
    ]


def test_a_bar_has_a_value_and_a_name():
    line = lines(4, 5.0)[2]
    assert '<progress value="2" max="4" aria-label="2 of 4 runs, about 10 seconds left">' in line


def test_screen_readers_are_told_at_every_quarter():
    said = [told(line) for line in lines(24, 1.0)]
    assert list(dict.fromkeys(said)) == ["0 % done", "25 % done", "50 % done", "75 % done", "100 % done"]
    assert all(line.startswith('<p class="progress"><span class="told" role="status">') for line in lines(3, 1.0))


def test_a_status_without_a_bar_is_told_and_its_further_lines_are_text():
    line = status_line("Done: 2 runs.", "CROP: <b>no</b>")
    assert told(line) == "Done: 2 runs." and "<progress" not in line
    assert "&lt;b&gt;no&lt;/b&gt;" in line
