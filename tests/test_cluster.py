# SPDX-License-Identifier: GPL-3.0-or-later
"""The same map on a Dask cluster of real processes, whatever happens to them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import closing
from pathlib import Path

import kikuchipy
import numpy as np
import pytest
from distributed import Client, LocalCluster

from napari_ebsd_phase import InputError, PhaseMap, Scan, classify, load_classifier, load_scan
from napari_ebsd_phase.cli import main
from napari_ebsd_phase.cluster import classify_tiles_on, connected
from napari_ebsd_phase.mapping import TileResult, empty_map
from napari_ebsd_phase.samples import sample_path

from ._program import DUPLEX, is_one_error_line, start, wait_until

# Ten tiles of one row.
PLAN = {"region": (slice(20, 30), slice(0, 80)), "tile": 80}


@pytest.fixture(scope="module")
def classifier():
    return load_classifier("pixels", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def scan():
    with load_scan(sample_path("two_phase")) as scan:
        yield scan


@pytest.fixture(scope="module")
def local_map(scan, classifier):
    return classify(scan, classifier, **PLAN)


@pytest.fixture(scope="module")
def client(local_map):
    """A cluster of two processes; the map before has compiled what they compile."""
    with (
        LocalCluster(2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def filled(scan, classifier, tiles: list[TileResult]) -> PhaseMap:
    """The map that tiles make; none comes twice."""
    phase_map = empty_map(scan, classifier, **PLAN)
    for tile in tiles:
        assert not phase_map.done[tile.rows, tile.cols].any()
        tile.fill_into(phase_map)
    return phase_map


def assert_same_bits(phase_map: PhaseMap, other: PhaseMap) -> None:
    for name in ("point_group_probabilities", "bravais_probabilities", "pattern_quality", "done"):
        assert getattr(phase_map, name).tobytes() == getattr(other, name).tobytes()


def workers(client: Client) -> dict[str, int]:
    """Address and process of every worker."""
    return client.run(os.getpid)


def jobs(client: Client) -> list[str]:
    """Names of what this program has left on the workers."""
    every = client.run(lambda dask_worker: list(dask_worker.plugins))
    return [name for names in every.values() for name in names if name.startswith("napari-ebsd")]


def test_a_cluster_gives_the_same_bits(client, scan, classifier, local_map):
    assert_same_bits(classify(scan, classifier, **PLAN, scheduler=client), local_map)

    assert not jobs(client)


def test_every_worker_opens_network_and_file_once(client, scan, classifier):
    def opened(dask_worker):
        (job,) = (p for name, p in dask_worker.plugins.items() if name.startswith("napari-ebsd"))
        return [id(part) for part in job._open or ()]

    with closing(classify_tiles_on(client, scan, classifier, **PLAN)) as tiles:
        next(tiles)
        before = client.run(opened)
        for _ in range(4):
            next(tiles)
        after = client.run(opened)

    assert any(before.values())
    assert all(after[name] == parts for name, parts in before.items() if parts)


def test_a_file_that_the_workers_do_not_see_is_an_error_that_says_so(client, classifier, tmp_path):
    path = Path(shutil.copy(DUPLEX, tmp_path / "map.h5"))
    with load_scan(path) as scan:
        shutil.copy(sample_path("nickel"), tmp_path / "other.h5")
        (tmp_path / "other.h5").replace(path)

        with pytest.raises(InputError, match="put it where all workers see it"):
            classify(scan, classifier, scheduler=client)


def test_a_run_on_a_cluster_is_taken_up_again(client, tmp_path):
    options = ["--region", "0:24,:", "--model", "pixels", "--device", "cpu", "--quiet"]
    output = tmp_path / "map.h5"
    cluster = ["--scheduler", client.scheduler.address]
    process = start("classify", DUPLEX, "-o", output, *options, *cluster)
    unfinished = tmp_path / "map.h5.partial"
    wait_until(process, lambda: unfinished.exists() and unfinished.stat().st_size > 50_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = unfinished.stat().st_size

    assert not output.exists()
    assert main(["classify", DUPLEX, "-o", str(output), *options, *cluster, "--resume"]) == 0
    assert main(["classify", DUPLEX, "-o", str(tmp_path / "local.h5"), *options]) == 0

    assert kept > 50_000
    assert_same_bits(PhaseMap.load(output), PhaseMap.load(tmp_path / "local.h5"))


def test_processes_on_this_machine_need_no_scheduler(scan, classifier, local_map):
    assert_same_bits(classify(scan, classifier, **PLAN, scheduler="local:1"), local_map)


@pytest.mark.parametrize(
    "scheduler", ["local:0", "local:", "node1:8786", "tcp://", "carrier://a:1"]
)
def test_what_is_no_scheduler_is_refused(scheduler, tmp_path, capsys):
    arguments = ["classify", DUPLEX, "-o", str(tmp_path / "map.csv"), "--scheduler", scheduler]

    assert main(arguments) == 2

    error = capsys.readouterr().err
    assert is_one_error_line(error)
    assert "tcp://HOST:PORT" in error


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, capsys):
    arguments = ["classify", DUPLEX, "-o", str(tmp_path / "map.csv")]

    assert main([*arguments, "--scheduler", "tcp://127.0.0.1:1"]) == 2

    error = capsys.readouterr().err
    assert is_one_error_line(error)
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in error
    assert not list(tmp_path.iterdir())


def test_without_dask_distributed_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(InputError, match=r"napari-ebsd-phase\[cluster\]"), connected("local:2"):
        pass


def test_a_wrong_request_is_refused_before_the_work(client, scan, classifier):
    with pytest.raises(InputError, match="batch size"):
        classify_tiles_on(client, scan, classifier, batch_size=0)
    everything = np.ones(scan.shape, bool)
    assert not list(classify_tiles_on(client, scan, classifier, skip=everything))


def test_a_worker_that_is_killed_in_the_middle_costs_nothing_but_its_tile(
    client, scan, classifier, local_map
):
    with closing(classify_tiles_on(client, scan, classifier, **PLAN)) as tiles:
        done = [next(tiles)]
        killed = next(address for address, keys in client.processing().items() if keys)
        os.kill(workers(client)[killed], signal.SIGKILL)
        done += tiles

    assert killed not in workers(client)
    assert len(done) == 10
    assert_same_bits(filled(scan, classifier, done), local_map)


def test_a_tile_that_ends_one_worker_after_the_other_is_an_error(client, scan, classifier):
    def forgive(times: int) -> None:
        client.run_on_scheduler(
            lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", times)
        )

    forgive(0)
    client.wait_for_workers(2)
    with closing(classify_tiles_on(client, scan, classifier, **PLAN)) as tiles:
        next(tiles)
        for pid in workers(client).values():
            os.kill(pid, signal.SIGKILL)

        with pytest.raises(InputError, match="more memory"):
            list(tiles)
    forgive(3)


def test_a_signal_is_in_no_file_that_workers_could_open(client, classifier):
    scan = Scan.from_signal(kikuchipy.load(sample_path("nickel")))
    with pytest.raises(InputError, match="save the signal and open the file"):
        classify(scan, classifier, scheduler=client)
