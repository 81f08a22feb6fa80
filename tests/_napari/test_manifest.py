# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plugin offers napari: all of it exists, is found, and has a clear name."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManifest
from npe2.manifest.contributions import MenuCommand
from npe2.manifest.utils import import_python_name

from napari_ebsd_phase import export
from napari_ebsd_phase._cli.common import DEVICES
from napari_ebsd_phase._napari.settings import PLUGIN, load_settings
from napari_ebsd_phase.samples import sample_names
from napari_ebsd_phase.scan import READERS


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution(PLUGIN)


@pytest.fixture(scope="module")
def contributions(manifest):
    return manifest.contributions


def test_every_command_of_the_manifest_can_be_imported(manifest):
    manifest.validate_imports()


def test_titles_say_what_a_command_does_and_none_twice(contributions):
    titles = [command.title for command in contributions.commands]

    assert len(set(titles)) == len(titles)
    assert all(len(title.split()) >= 3 and title[0].isupper() for title in titles)


def test_every_bundled_sample_is_in_the_menu(contributions):
    assert {sample.key for sample in contributions.sample_data} == set(sample_names())


def test_every_suffix_of_patterns_is_read_but_those_of_images(contributions):
    (reader,) = contributions.readers
    images = {".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg"}
    expected = {f"*{suffix}" for suffix in set(READERS) - images - {".txt"}}

    assert set(reader.filename_patterns) == expected | {"?etting.txt"}
    assert reader.accepts_directories


def test_every_export_format_is_written(contributions):
    (writer,) = contributions.writers

    assert set(writer.filename_extensions) == set(export.SUFFIXES)


def test_docks_are_in_the_layers_menu(contributions):
    docks = {widget.command for widget in contributions.widgets}
    entries = contributions.menus["napari/layers/classify"]

    assert {item.command for item in entries if isinstance(item, MenuCommand)} == docks
    assert [widget.display_name for widget in contributions.widgets] == [
        "EBSD phase mapping",
        "EBSD pattern",
        "EBSD phase legend",
        "EBSD evidence on the sphere",
        "EBSD teach the network",
    ]


def test_docks_take_the_viewer_that_napari_hands_them(contributions):
    names = {command.id: command.python_name for command in contributions.commands}
    for widget in contributions.widgets:
        dock = import_python_name(names[widget.command])
        parameters = inspect.signature(dock.__init__).parameters
        annotations = [str(parameter.annotation) for parameter in parameters.values()]
        assert "napari.viewer.Viewer" in annotations, widget.display_name


def test_settings_have_defaults_that_choose_for_the_user(contributions):
    settings = load_settings()

    assert (settings.device, settings.batch_size, settings.threshold) == ("auto", None, None)
    assert settings.colormap == "inferno"
    offered = contributions.configurations["classification"].properties["device"].enum
    assert tuple(offered) == DEVICES


def test_settings_are_those_of_napari():
    stored = get_plugin_settings(PLUGIN)
    stored.classification.batch_size = 32
    stored.classification.threshold = 0.8
    stored.heat_map.colormap = "magma"

    settings = load_settings()

    assert (settings.batch_size, settings.threshold) == (32, 0.8)
    assert settings.colormap == "magma"


def test_the_manifest_is_valid_for_npe2():
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "napari_ebsd_phase", "--imports"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_reading_the_manifest_and_its_readers_imports_nothing_heavy():
    code = (
        "import sys, napari_ebsd_phase._napari.reader, napari_ebsd_phase._napari.writer\n"
        "import napari_ebsd_phase._napari.samples\n"
        "print(*({'torch', 'kikuchipy', 'orix', 'matplotlib', 'napari'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.split() == []
