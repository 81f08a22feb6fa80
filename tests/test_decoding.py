# SPDX-License-Identifier: GPL-3.0-or-later
"""From scores to probabilities, point group and lattice together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    CRYSTAL_SYSTEMS,
    LAUE_GROUPS,
    POINT_GROUPS,
    crystal_system,
    family,
    laue_group,
    marginal,
)
from napari_ebsd_phase.decoding import PAIRS, best_pair, decode, parse_prior
from napari_ebsd_phase.errors import InputError


def scores(n: int = 20, scale: float = 4.0, seed: int = 0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((n, 46)).astype(np.float32)


def scores_for(point_group: str, lattice: str, strength: float) -> np.ndarray:
    result = np.zeros((1, 46))
    result[0, POINT_GROUPS.index(point_group)] = strength
    result[0, 32 + BRAVAIS_LATTICES.index(lattice)] = strength
    return result


def joint_by_hand(one: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Bayes' rule written out over the whole 32 x 14 table."""
    table = np.exp(one[:32, None].astype(float) + one[None, 32:]) * COMPATIBLE * weight
    return table / table.sum()


@settings(max_examples=50, deadline=None)
@given(
    npst.arrays(np.float32, (3, 46), elements=st.floats(-1000, 1000, width=32)),
    st.floats(0.05, 20),
)
def test_probabilities_sum_to_one_whatever_the_scores(values, temperature):
    for probabilities in decode(values, temperature=temperature):
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_shapes_and_types_are_as_promised():
    point_group, lattice = decode(scores(7))
    assert point_group.shape == (7, 32)
    assert lattice.shape == (7, 14)
    assert point_group.dtype == lattice.dtype == np.float32
    assert decode(scores(0))[0].shape == (0, 32)


def test_there_are_66_pairs_and_they_are_the_compatible_ones():
    assert len(PAIRS) == 66
    assert COMPATIBLE[PAIRS[:, 0], PAIRS[:, 1]].all()


def test_decoding_is_the_softmax_over_the_pairs_that_exist():
    values = scores()
    point_group, lattice = decode(values)
    for k, one in enumerate(values):
        expected = joint_by_hand(one, np.ones((32, 14)))
        np.testing.assert_allclose(point_group[k], expected.sum(axis=1), atol=1e-6)
        np.testing.assert_allclose(lattice[k], expected.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("lattice", BRAVAIS_LATTICES)
def test_a_certain_lattice_leaves_only_its_own_point_groups(lattice):
    values = np.zeros((1, 46))
    values[0, 32 + BRAVAIS_LATTICES.index(lattice)] = 200
    point_group, _ = decode(values)
    possible = COMPATIBLE[:, BRAVAIS_LATTICES.index(lattice)]
    assert point_group[0, ~possible].max(initial=0) == 0
    assert {family(g) for g, on in zip(POINT_GROUPS, possible, strict=True) if on} == {
        family(lattice)
    }


def test_a_strong_lattice_overrules_a_point_group_that_cannot_be():
    values = scores_for("6/mmm", "cF", 10)
    values[0, 32 + BRAVAIS_LATTICES.index("cF")] = 20
    values[0, POINT_GROUPS.index("m-3m")] = 2
    point_group, lattice = decode(values)
    assert POINT_GROUPS[point_group[0].argmax()] == "m-3m"
    assert BRAVAIS_LATTICES[lattice[0].argmax()] == "cF"


def test_every_existing_pair_can_win():
    for group, lattice in PAIRS:
        values = scores_for(POINT_GROUPS[group], BRAVAIS_LATTICES[lattice], 12)
        found_group, found_lattice = decode(values)
        assert found_group[0].argmax() == group
        assert found_lattice[0].argmax() == lattice


def test_marginals_of_both_outputs_agree_on_the_crystal_family():
    point_group, lattice = decode(scores(50))
    systems = marginal(point_group, "crystal_system")
    families = np.array([family(s) for s in CRYSTAL_SYSTEMS])
    of_lattice = np.array([family(b) for b in BRAVAIS_LATTICES])
    for name in set(families):
        np.testing.assert_allclose(
            systems[:, families == name].sum(axis=1),
            lattice[:, of_lattice == name].sum(axis=1),
            atol=1e-5,
        )


def test_a_constant_added_to_all_scores_of_one_kind_changes_nothing():
    values = scores()
    shifted = values.copy()
    shifted[:, :32] += 5
    shifted[:, 32:] -= 3
    for a, b in zip(decode(values), decode(shifted), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_high_temperature_takes_certainty_away():
    values = scores()
    peaks = [decode(values, temperature=t)[0].max(axis=1).mean() for t in (0.5, 1, 2, 5)]
    assert (np.diff(peaks) < 0).all()
    flat, _ = decode(values, temperature=1e6)
    np.testing.assert_allclose(flat, np.tile(COMPATIBLE.sum(axis=1) / 66, (20, 1)), atol=1e-4)


def test_temperature_divides_the_scores():
    for a, b in zip(decode(scores(), temperature=2.5), decode(scores() / 2.5), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


# Priors.


def test_evidence_and_prior_are_tempered_together():
    """Tempered or not, the pair that Bayes' rule prefers stays the preferred one."""
    prior = np.random.default_rng(5).random((32, 14)) ** 4 * COMPATIBLE
    values = scores()
    for a, b in zip(
        decode(values, prior=prior, training_prior=COMPATIBLE, temperature=2.0),
        decode(values / 2.0, prior=np.sqrt(prior), training_prior=COMPATIBLE),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_training_prior_is_replaced_exactly_as_bayes_says():
    """A constructed case: likelihoods are known, and scores are what perfect training gives."""
    rng = np.random.default_rng(3)
    group_likelihood, lattice_likelihood = rng.random((2, 40, 32))[0], rng.random((40, 14))
    trained = rng.random((32, 14)) * COMPATIBLE
    wanted = rng.random((32, 14)) * COMPATIBLE
    likelihood = group_likelihood[:, :, None] * lattice_likelihood[:, None, :]
    # The trained network's softmax over pairs is the posterior under the training frequencies. It
    # can be so for every pair only if these are products, up to what exists.
    trained = trained.sum(axis=1, keepdims=True) * trained.sum(axis=0) * COMPATIBLE
    group_share, lattice_share = rng.random(32), rng.random(14)
    trained = group_share[:, None] * lattice_share * COMPATIBLE
    values = np.log(
        np.concatenate([group_likelihood * group_share, lattice_likelihood * lattice_share], axis=1)
    )
    posterior = likelihood * wanted
    posterior /= posterior.sum(axis=(1, 2), keepdims=True)

    point_group, lattice = decode(values, prior=wanted, training_prior=trained)

    np.testing.assert_allclose(point_group, posterior.sum(axis=2), atol=1e-6)
    np.testing.assert_allclose(lattice, posterior.sum(axis=1), atol=1e-6)


def test_a_prior_equal_to_the_training_frequencies_changes_nothing():
    trained = np.random.default_rng(0).random((32, 14)) * COMPATIBLE
    same = decode(scores(), prior=7 * trained, training_prior=trained)
    for a, b in zip(same, decode(scores()), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_what_the_prior_excludes_has_probability_zero():
    values = scores_for("6/mmm", "hP", 30)
    point_group, lattice = decode(values, prior=parse_prior("cubic"))
    cubic = np.array([crystal_system(g) == "cubic" for g in POINT_GROUPS])
    assert (point_group[0, ~cubic] == 0).all()
    assert (lattice[0, :11] == 0).all()
    np.testing.assert_allclose(point_group[0, cubic].sum(), 1, atol=1e-6)


def test_a_pair_never_trained_on_stays_possible_and_finite():
    trained = COMPATIBLE.astype(float)
    trained[POINT_GROUPS.index("432")] = 0
    point_group, _ = decode(scores(), prior=parse_prior("uniform"), training_prior=trained)
    assert np.isfinite(point_group).all()
    assert (point_group[:, POINT_GROUPS.index("432")] > 0).all()


@pytest.mark.parametrize(
    "prior",
    [
        np.zeros((32, 14)),
        (~COMPATIBLE).astype(float),
        np.full((32, 14), np.nan),
        -np.ones((32, 14)),
        np.ones(32),
        np.ones((14, 32)),
    ],
)
def test_a_prior_that_allows_nothing_or_is_no_table_is_refused(prior):
    with pytest.raises(InputError, match="prior"):
        decode(scores(), prior=prior)


@pytest.mark.parametrize("values", [np.zeros(46), np.zeros((3, 45)), np.zeros((2, 3, 46))])
def test_scores_of_another_shape_are_refused(values):
    with pytest.raises(InputError, match="46"):
        decode(values)


def allowed(text: str) -> tuple[set[str], set[str]]:
    table = parse_prior(text)
    assert table.shape == (32, 14)
    assert table.sum() == pytest.approx(1)
    assert not table[~COMPATIBLE].any()
    groups = {POINT_GROUPS[i] for i in np.flatnonzero(table.any(axis=1))}
    return groups, {BRAVAIS_LATTICES[i] for i in np.flatnonzero(table.any(axis=0))}


@pytest.mark.parametrize("text", ["uniform", "", " uniform "])
def test_the_uniform_prior_gives_every_point_group_the_same(text):
    table = parse_prior(text)
    np.testing.assert_allclose(table.sum(axis=1), 1 / 32)
    for row, exists in zip(table, COMPATIBLE, strict=True):
        assert len(set(row[exists])) == 1


def test_the_known_prior_follows_the_known_structures_and_excludes_nothing():
    known = np.zeros((32, 14))
    known[POINT_GROUPS.index("m-3m"), BRAVAIS_LATTICES.index("cF")] = 99
    table = parse_prior("known", known)
    assert (table[COMPATIBLE] > 0).all()
    assert not table[~COMPATIBLE].any()
    assert table.max() / table[COMPATIBLE].min() == pytest.approx(199)
    assert table.sum() == pytest.approx(1)


def test_without_known_structures_there_is_no_known_prior():
    with pytest.raises(InputError, match="structure frequencies"):
        parse_prior("known")


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_a_point_group_stands_for_itself_alone(name):
    assert allowed(name)[0] == {name}


@pytest.mark.parametrize("name", LAUE_GROUPS)
def test_a_laue_group_stands_for_all_its_point_groups(name):
    assert allowed(f"laue:{name}")[0] == {g for g in POINT_GROUPS if laue_group(g) == name}


@pytest.mark.parametrize("name", CRYSTAL_SYSTEMS)
def test_a_crystal_system_stands_for_all_its_point_groups(name):
    assert allowed(name)[0] == {g for g in POINT_GROUPS if crystal_system(g) == name}


@pytest.mark.parametrize("name", BRAVAIS_LATTICES)
def test_a_lattice_stands_for_itself_with_all_its_point_groups(name):
    groups, lattices = allowed(name)
    assert lattices == {name}
    column = COMPATIBLE[:, BRAVAIS_LATTICES.index(name)]
    assert groups == {g for g, on in zip(POINT_GROUPS, column, strict=True) if on}


def test_names_add_up_and_lattices_narrow_them():
    assert allowed("m-3m, 6/mmm") == ({"m-3m", "6/mmm"}, {"cP", "cI", "cF", "hP"})
    assert allowed("m-3m,6/mmm,hP,cF") == ({"m-3m", "6/mmm"}, {"cF", "hP"})
    assert allowed("cubic,cI,cP")[1] == {"cI", "cP"}
    np.testing.assert_allclose(parse_prior("m-3m,6/mmm").sum(axis=1).max(), 0.5)


@pytest.mark.parametrize(
    "text", ["m3m", "cubic,", "Cubic", "laue:23", "laue:", "fcc", "known,cubic"]
)
def test_unknown_names_are_named(text):
    with pytest.raises(InputError, match="prior") as error:
        parse_prior(text, np.ones((32, 14)))
    assert "\n" not in str(error.value)
    assert repr(text.split(",")[-1]) in str(error.value) or "'known'" in str(error.value)


def test_names_that_exclude_each_other_are_refused():
    with pytest.raises(InputError, match="goes with"):
        parse_prior("6/mmm,cF")


def test_the_lattice_goes_with_the_point_group():
    """Twelve point groups share hP, so it can lead where m-3m leads the point groups."""
    point = np.full((1, 32), 0.6 / 31)
    point[0, POINT_GROUPS.index("m-3m")] = 0.4
    lattice = np.full((1, 14), 0.01)
    for name, value in (("hP", 0.5), ("cF", 0.3), ("cI", 0.09)):
        lattice[0, BRAVAIS_LATTICES.index(name)] = value
    assert BRAVAIS_LATTICES[best_pair(point, lattice)[1][0]] == "cF"
    assert best_pair(point[0], lattice[0])[1].shape == ()


def test_decoded_names_never_contradict_each_other():
    scores = np.random.default_rng(3).normal(0, 2, (500, 46))
    point, lattice = decode(scores, prior=parse_prior("uniform"), temperature=3.0)
    group, chosen = best_pair(point, lattice)
    assert COMPATIBLE[group, chosen].all()
    assert (chosen != lattice.argmax(axis=1)).any()


def test_a_map_of_many_patterns_is_reported_like_its_parts():
    """More patterns than are compared at once."""
    scores = np.random.default_rng(4).normal(0, 2, (700, 46))
    point, lattice = (np.tile(p, (100, 1)) for p in decode(scores))
    group, chosen = best_pair(point.reshape(700, 100, 32), lattice.reshape(700, 100, 14))
    first = best_pair(point[:700], lattice[:700])
    np.testing.assert_array_equal(group.ravel(), np.tile(first[0], 100))
    np.testing.assert_array_equal(chosen.ravel(), np.tile(first[1], 100))
