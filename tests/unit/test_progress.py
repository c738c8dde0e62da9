"""How far a bot's updates are done: whatever the order, never further than everything before it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.progress import Progress

# Updates of one to three numbers each, in Telegram's order, and the order in which they come and are finished.
COUNTS = st.lists(st.integers(0, 3), min_size=1, max_size=30)


def spans(counts: list[int], start: int) -> list[tuple[int, int]]:
    ends, at = [], start
    for count in counts:
        at += count
        ends.append((at, count))
    return ends


@given(COUNTS, st.randoms(use_true_random=False), st.data())
def test_done_is_the_end_of_what_is_finished_without_a_hole(counts, random, data):
    updates = spans(counts, 100)
    shuffled = random.sample(updates, len(updates))
    finished = shuffled[: data.draw(st.integers(0, len(shuffled)))]
    progress = Progress(100)
    for end, count in shuffled:
        progress.begin(end, count)
    for end, count in finished:
        progress.finish(end, count)

    covered = {number for end, count in finished for number in range(end - count + 1, end + 1)}
    expected = 100
    while expected + 1 in covered:
        expected += 1
    assert progress.done == expected
    assert progress.seen == updates[-1][0]
    assert not progress.hole


@given(COUNTS, st.integers(0, 29), st.randoms(use_true_random=False))
def test_a_number_that_did_not_come_is_a_hole_until_a_difference_covers_it(counts, index, random):
    counts = [max(1, count) for count in counts]
    updates = spans(counts, 0)
    lost = updates[index % len(updates)]
    come = [update for update in updates if update != lost]
    progress = Progress(0)
    for end, count in random.sample(come, len(come)):
        progress.begin(end, count)
        progress.finish(end, count)

    assert progress.done == progress.seen == lost[0] - lost[1]
    assert progress.hole is (lost != updates[-1])

    last = updates[-1][0]
    progress.begin(last, last - progress.seen)
    progress.finish(last, last - progress.done)
    assert (progress.seen, progress.done, progress.hole) == (last, last, False)


def test_what_comes_again_moves_nothing_back():
    progress = Progress(10)
    progress.begin(12, 2)
    progress.finish(12, 2)
    progress.begin(11, 1)
    progress.finish(11, 1)
    progress.begin(9, 3)

    assert (progress.seen, progress.done, progress.hole) == (12, 12, False)
