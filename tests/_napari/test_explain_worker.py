# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the newest question is answered, and the answer is that of the core."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_ebsd_phase import InputError, centred, classify, load_scan
from napari_ebsd_phase._napari.explain_worker import (
    Answer,
    Explainer,
    PatternQuestion,
    Question,
    Request,
    WarmUp,
    pixel_of,
    read_pattern,
)
from napari_ebsd_phase._napari.latest_wins import Failure, LatestWins
from napari_ebsd_phase._napari.session import MapSession
from napari_ebsd_phase.crystallography import LEVELS, names
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.preprocessing import fit_screen, prepare
from napari_ebsd_phase.saliency import explain
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.screen import find_screen


class SlowWorker:
    """Answers numbers in two steps, each when it is told to."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.go = threading.Semaphore(0)

    def answer(self, number: int) -> Iterator[tuple[int, str]]:
        self.started.append(number)
        assert self.go.acquire(timeout=60)
        if number < 0:
            raise InputError("a number below zero")
        yield number, "first"
        assert self.go.acquire(timeout=60)
        yield number, "second"


@pytest.fixture
def worker() -> SlowWorker:
    return SlowWorker()


@pytest.fixture
def latest(worker, qtbot) -> Iterator[LatestWins]:
    latest = LatestWins(worker.answer, "test-latest-wins")
    yield latest
    latest.forget()
    worker.go.release(100)
    qtbot.waitUntil(lambda: not latest.busy)


@pytest.fixture
def heard(latest) -> list:
    heard: list = []
    latest.answered.connect(heard.append)
    return heard


@pytest.fixture
def steel() -> Iterator[MapSession]:
    """The sample of two phases, not classified."""
    session = MapSession(load_scan(sample_path("two_phase")))
    yield session
    session.close()


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer()


def last(answers: Iterator[Answer]) -> Answer:
    return list(answers)[-1]


# The thread -------------------------------------------------------------------------------------


def test_a_question_is_answered_step_by_step(latest, worker, heard, qtbot):
    latest.ask(1)
    worker.go.release()
    qtbot.waitUntil(lambda: heard == [(1, "first")])
    worker.go.release()

    qtbot.waitUntil(lambda: heard == [(1, "first"), (1, "second")])
    qtbot.waitUntil(lambda: not latest.busy)


def test_what_waits_gives_way_to_the_newest(latest, worker, heard, qtbot):
    latest.ask(1)
    qtbot.waitUntil(lambda: worker.started == [1])
    for number in range(2, 50):
        latest.ask(number)
    worker.go.release(100)

    qtbot.waitUntil(lambda: not latest.busy)
    qtbot.waitUntil(lambda: len(heard) == 2)
    assert worker.started == [1, 49]
    assert heard == [(49, "first"), (49, "second")]


def test_an_answer_that_nobody_waits_for_is_not_continued(latest, worker, heard, qtbot):
    latest.ask(1)
    worker.go.release()
    qtbot.waitUntil(lambda: heard == [(1, "first")])
    latest.forget()
    worker.go.release()

    qtbot.waitUntil(lambda: not latest.busy)
    QApplication.processEvents()
    assert heard == [(1, "first")]


def test_questions_asked_together_are_all_answered(latest, worker, heard, qtbot):
    worker.go.release(100)

    latest.ask(1, 2)

    qtbot.waitUntil(lambda: [number for number, _ in heard] == [1, 1, 2, 2])


def test_a_failure_is_told_with_its_question_and_the_next_one_is_answered(
    latest, worker, heard, qtbot
):
    worker.go.release(100)
    latest.ask(-1)
    qtbot.waitUntil(lambda: len(heard) == 1)
    latest.ask(1)
    qtbot.waitUntil(lambda: len(heard) == 3)

    assert isinstance(heard[0], Failure)
    assert heard[0].question == -1
    assert str(heard[0].error) == "a number below zero"


def test_answers_come_in_the_thread_of_the_interface(latest, worker, qtbot):
    threads = []

    class Receiver:
        def receive(self, answer: object) -> None:
            threads.append(threading.current_thread())

    receiver = Receiver()
    latest.answered.connect(receiver.receive)
    worker.go.release(100)
    latest.ask(1)

    qtbot.waitUntil(lambda: len(threads) == 2)
    assert set(threads) == {threading.main_thread()}


def test_the_thread_ends_with_its_owner(qtbot):
    worker = SlowWorker()
    latest = LatestWins(worker.answer, "test-short-lived")
    latest.ask(1)
    worker.go.release(2)
    gone = weakref.ref(latest)
    qtbot.waitUntil(lambda: not gone().busy)

    del latest
    gc.collect()

    assert gone() is None
    qtbot.waitUntil(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("test-short-lived")]
    )


# Patterns ---------------------------------------------------------------------------------------


def test_a_pattern_is_that_of_the_file(steel):
    (answer,) = read_pattern(PatternQuestion(7, steel, 12, 34))

    assert answer.ticket == 7
    np.testing.assert_array_equal(answer.pattern, steel.scan.pattern(12, 34))


def test_a_pattern_of_a_closed_file_says_what_to_do(steel):
    steel.close()

    with pytest.raises(InputError, match="open it again"):
        list(read_pattern(PatternQuestion(1, steel, 0, 0)))


# Explanations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_the_answer_is_what_a_map_of_the_pattern_would_say(steel, explainer, network, level):
    part = (slice(10, 11), slice(20, 21))
    phase_map = classify(steel.scan, network, region=part)

    answer = last(explainer.answer(Question(1, steel, 10, 20, Request(level=level))))

    assert answer.computed
    assert answer.same_network
    np.testing.assert_allclose(
        answer.result.probabilities(level)[0, 0],
        phase_map.probabilities(level)[10, 20],
        rtol=1e-3,
        atol=1e-5,
    )
    index = int(phase_map.most_probable(level)[0][10, 20])
    assert answer.target == names(level)[index]


@pytest.mark.parametrize(
    ("level", "target", "against"),
    [
        ("point_group", None, None),
        ("point_group", "6/mmm", None),
        ("laue_group", "m-3m", "6/mmm"),
        ("crystal_system", "cubic", "hexagonal"),
        ("bravais_lattice", "cI", "cF"),
    ],
)
def test_the_heat_map_is_that_of_the_core(steel, explainer, network, level, target, against):
    request = Request(level, target, against)
    (answer,) = explainer.answer(Question(1, steel, 30, 40, request))

    expected = explain(
        steel.scan.pattern(30, 40),
        centred(steel.scan, network),
        answer.target,
        level=level,
        against=against,
        background=steel.scan.static_background,
        mask=scan_screen(steel.scan),
    )
    assert target in (None, answer.target)
    assert answer.heat.dtype == np.float32
    np.testing.assert_allclose(answer.heat, expected, rtol=1e-3, atol=1e-4)


def test_a_slow_heat_map_follows_the_name(steel, explainer):
    first, second = explainer.answer(Question(1, steel, 3, 4, Request(method="occlusion")))

    assert first.heat is None
    assert second.heat.max() == 1
    assert second.result is first.result


def test_a_class_is_not_weighed_against_itself(steel, explainer):
    best = last(explainer.answer(Question(1, steel, 5, 5, Request()))).target

    answer = last(explainer.answer(Question(1, steel, 5, 5, Request(against=best))))

    assert answer.against is None
    assert answer.heat.max() == 1


def test_without_a_method_there_is_no_heat_map(steel, explainer):
    (answer,) = explainer.answer(Question(1, steel, 5, 5, Request(method=None)))

    assert answer.heat is None


def test_the_word_of_the_map_counts_where_it_is_classified(steel, explainer, network):
    steel.set_map(classify(steel.scan, network, region=(slice(0, 1), slice(0, 2)), prior="hP"))
    known = pixel_of(steel.phase_map, 0, 1, 0.3)

    answer = last(explainer.answer(Question(1, steel, 0, 1, Request("bravais_lattice"), known)))

    assert not answer.computed
    assert answer.result is known
    assert answer.target == "hP"


def test_the_prior_of_the_map_is_that_of_the_other_pixels_too(steel, explainer, network):
    steel.set_map(classify(steel.scan, network, region=(slice(0, 1), slice(0, 2)), prior="hP"))

    answer = last(explainer.answer(Question(1, steel, 9, 9, Request("bravais_lattice"))))

    assert answer.computed
    assert answer.target == "hP"


def test_a_pixel_of_a_map_is_a_copy(steel, network):
    phase_map = classify(steel.scan, network, region=(slice(0, 1), slice(0, 2)))

    pixel = pixel_of(phase_map, 0, 1, 0.25)

    assert pixel.threshold == 0.25
    np.testing.assert_array_equal(pixel.point_group, phase_map.point_group[:1, 1:2])
    assert not np.shares_memory(
        pixel.point_group_probabilities, phase_map.point_group_probabilities
    )
    assert pixel_of(phase_map, 5, 5, 0.25) is None


def test_a_map_of_another_network_is_explained_by_the_default_one_and_says_so(
    steel, explainer, network
):
    phase_map = classify(steel.scan, network, region=(slice(0, 1), slice(0, 2)))
    phase_map.provenance = {
        **phase_map.provenance,
        "network": "mine",
        "network_sha256": "0" * 64,
    }
    steel.set_map(phase_map)

    answer = last(explainer.answer(Question(1, steel, 0, 0, Request())))

    assert not answer.same_network
    assert answer.network == "default"


def test_each_image_of_a_folder_has_its_own_screen(explainer, network):
    session = MapSession(load_scan(sample_path("silicon")))
    for col in range(3):
        pattern = session.scan.pattern(0, col)

        answer = last(explainer.answer(Question(1, session, 0, col, Request("laue_group"))))

        expected = explain(
            pattern,
            network,
            answer.target,
            level="laue_group",
            mask=find_screen(pattern[np.newaxis]),
        )
        np.testing.assert_allclose(answer.heat, expected, rtol=1e-3, atol=1e-4)
    session.close()


def test_the_view_of_the_network_is_its_input(steel, explainer, network):
    request = Request(method=None, as_seen=True)
    answer = last(explainer.answer(Question(1, steel, 3, 4, request)))

    mask = scan_screen(steel.scan)
    expected = prepare(
        steel.scan.pattern(3, 4)[np.newaxis],
        network.preprocessing,
        background=steel.scan.static_background,
        mask=mask,
    )
    fit = fit_screen(mask, network.preprocessing.size)
    np.testing.assert_array_equal(answer.seen.pixels, expected[0, 0].numpy())
    assert (answer.seen.row, answer.seen.col, answer.seen.scale) == (fit.row0, fit.col0, fit.scale)


def test_a_pattern_that_cannot_be_read_has_no_answer(steel, explainer):
    steel.close()

    assert list(explainer.answer(Question(1, steel, 0, 0, Request()))) == []


def test_warming_up_says_nothing(steel):
    assert list(Explainer().answer(WarmUp(steel))) == []


def test_other_threads_keep_their_number_of_processors(steel):
    import torch

    counts: list[int] = []

    def count() -> None:
        counts.append(torch.get_num_threads())

    def explain_one() -> None:
        list(Explainer().answer(Question(1, steel, 0, 0, Request())))
        count()

    before = torch.get_num_threads()
    for work in (count, explain_one, count):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert counts == [before, 1, before]
    assert torch.get_num_threads() == before
