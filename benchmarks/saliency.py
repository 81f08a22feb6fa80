#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the networks look, against where a crystallographer looks: tables and figures.

    python benchmarks/saliency.py -o out [--model NAME ...] [--materials 20] [--patterns 12]

Simulated patterns of known orientation, of materials that the networks were trained on and of
materials that they never saw, and the measured nickel patterns that come with kikuchipy. For each:
how much of a heat map lies within 3 degrees of a zone axis; the same for maps that know nothing and
for crystals in random orientations; what is left of a heat map when the network loses its weights;
what the network loses when zone axes, bands or random discs are blurred, of equal area and of equal
change of the input.

Prints the tables of docs/saliency.md and writes them (saliency.md), all figures (saliency.json) and
a picture for each network. About five minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from napari_ebsd_phase import InputError, load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import LEVELS
from napari_ebsd_phase.export import replacing
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import load_materials
from napari_ebsd_phase.training.saliency_figure import draw_study
from napari_ebsd_phase.training.saliency_report import (
    TITLES,
    axes_table,
    deletion_table,
    families_table,
    forgetting_table,
    plain,
)
from napari_ebsd_phase.training.saliency_sets import (
    OrientedSet,
    choose_materials,
    measured_nickel,
    simulated_set,
)
from napari_ebsd_phase.training.saliency_study import ask, delete, examine, forget
from napari_ebsd_phase.training.saliency_summary import (
    summarise_axes,
    summarise_deletion,
    summarise_families,
    summarise_rows,
)
from napari_ebsd_phase.training.saliency_verdict import verdict, verdict_table

LIBRARY = Path(__file__).parents[1] / "data" / "master_patterns.h5"
MODELS = ("default", "pixels", "lines")


def prepare_sets(
    classifiers: list[Classifier], library: Path, materials: int, patterns: int, seed: int
) -> list[OrientedSet]:
    """The same patterns for all networks."""
    with MasterLibrary.open(library) as source:
        stack, by_split = load_materials(source)
        records = source.index
    trained_on = []
    for classifier in classifiers:
        known = classifier.card["training"].get("trained_on")
        if known is None:
            raise InputError(
                f"the card of {classifier.name} does not say what it was trained on: nothing can "
                "be called seen or unseen"
            )
        trained_on.append(known)
    chosen = choose_materials(by_split, trained_on, materials, seed)
    return [
        *(
            simulated_set(stack, records, material, kind, patterns, seed)
            for kind, members in chosen.items()
            for material in members
        ),
        measured_nickel(),
    ]


def study(
    classifier: Classifier,
    sets: list[OrientedSet],
    level: str,
    *,
    true_class: bool,
    few: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All measurements of one network: summaries, and facts about what was asked."""
    asked = list(ask(classifier, sets, level, true_class=true_class))
    print(f"{classifier.name}: {len(asked)} patterns asked", file=sys.stderr)
    rows = list(examine(classifier, asked, level, seed))
    print(f"{classifier.name}: zone axes measured", file=sys.stderr)
    forgotten = list(forget(classifier, [one for one in asked if one.number < few], level, seed))
    print(f"{classifier.name}: weights taken away", file=sys.stderr)
    deleted = list(delete(classifier, asked, level, seed))
    print(f"{classifier.name}: parts blurred", file=sys.stderr)
    right = {
        kind: sum(one.right for one in asked if one.material.kind == kind)
        / max(1, sum(one.material.kind == kind for one in asked))
        for kind in TITLES
    }
    equal_area, equal_change = summarise_deletion(deleted, seed)
    summaries = {
        "axes": summarise_axes(rows, seed),
        "families": summarise_families(rows, seed),
        "forgetting": summarise_rows(forgotten, "layer", ("signed", "absolute"), seed),
        "deletion": equal_area,
        "deletion_equal_change": equal_change,
    }
    facts = {
        "network": classifier.name,
        "network_sha256": classifier.sha256,
        "share_right": right,
        "patterns_with_all_parts": len({(r["material"], r["pattern"]) for r in deleted}),
    }
    return summaries, facts


def verdicts_of(summaries: dict[str, Any]) -> dict[str, dict[str, bool]]:
    """By kind of patterns, where both tests have an answer."""
    return {
        kind: verdict(table, summaries["deletion"][kind], summaries["deletion_equal_change"][kind])
        for kind, table in summaries["axes"].items()
        if kind in summaries["deletion"]
    }


def chapter(summaries: dict[str, Any], facts: dict[str, Any]) -> str:
    """The tables of one network."""
    right = ", ".join(f"{TITLES[kind]} {share:.0%}" for kind, share in facts["share_right"].items())
    return "\n\n".join(
        [
            f"### `{facts['network']}`",
            f"Class right: {right}.",
            verdict_table({TITLES[kind]: found for kind, found in verdicts_of(summaries).items()}),
            "Zone axes:",
            axes_table(summaries["axes"]),
            "By family, share / area:",
            families_table(summaries["families"]),
            "Weights set back, rank correlation with the heat map before:",
            forgetting_table(summaries["forgetting"]),
            f"Blurred parts, fall of log odds and probability ({facts['patterns_with_all_parts']} "
            "patterns):",
            deletion_table(summaries["deletion"]),
            "The same parts, cut until each changes the input as much as the one that changes it "
            "least:",
            deletion_table(summaries["deletion_equal_change"], equal="change"),
        ]
    )


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME|FILE",
        help="network; may be given several times (default: the three bundled ones)",
    )
    parser.add_argument("--library", type=Path, default=LIBRARY)
    parser.add_argument("--materials", type=int, default=20, help="of each kind")
    parser.add_argument("--patterns", type=int, default=12, help="of each material")
    parser.add_argument("--few", type=int, default=5, help="of them to take the weights away from")
    parser.add_argument("--level", choices=LEVELS, default="point_group")
    parser.add_argument(
        "--evidence",
        choices=("reported", "true"),
        default="reported",
        help="for the class that the network reports, or for that of the crystal",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args(argv)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        classifiers = [
            load_classifier(m, device="cpu", precision="float32") for m in given.model or MODELS
        ]
        sets = prepare_sets(classifiers, given.library, given.materials, given.patterns, given.seed)
        result: dict[str, Any] = {
            "level": given.level,
            "evidence_for": given.evidence,
            "seed": given.seed,
            "patterns": given.patterns,
            "materials": [
                {"kind": s.kind, "material": s.key, "bravais_lattice": s.bravais,
                 "point_group": s.point_group, "patterns": len(s.patterns)} for s in sets
            ],
            "networks": [],
        }  # fmt: skip
        chapters = []
        for classifier in classifiers:
            summaries, facts = study(
                classifier,
                sets,
                given.level,
                true_class=given.evidence == "true",
                few=given.few,
                seed=given.seed,
            )
            draw_study(
                classifier.name,
                summaries["axes"],
                summaries["forgetting"],
                summaries["deletion"],
                summaries["deletion_equal_change"],
                given.out / f"saliency-{classifier.name}.png",
            )
            verdicts = {"verdicts": verdicts_of(summaries)}
            result["networks"].append(facts | verdicts | plain(summaries))
            chapters.append(chapter(summaries, facts))
            print(chapters[-1] + "\n")
        listed = "\n".join(
            f"- {TITLES[kind]}: "
            + ", ".join(f"{s.formula} ({s.bravais})" for s in sets if s.kind == kind)
            for kind in ("seen", "unseen")
        )
        print(listed)
        texts = {
            "saliency.md": "\n\n".join([*chapters, listed]) + "\n",
            "saliency.json": json.dumps(result, indent=1) + "\n",
        }
        for name, text in texts.items():
            with replacing(given.out / name, overwrite=True) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
