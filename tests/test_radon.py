# SPDX-License-Identifier: GPL-3.0-or-later
"""The Radon transform: where a line ends up, and what turns, mirrors and screens do to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ebsd_phase.radon import REACH, SHORTEST, RadonTransform, radon_matrix, wrap_angles

SIZE, OFFSETS, ANGLES = 64, 64, 48
TRANSFORM = RadonTransform(OFFSETS, ANGLES)

Y, X = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2


def line(angle: float, offset: float, width: float = 1.5) -> torch.Tensor:
    """A bright line with its normal at an angle (degrees, x to the right, y down)."""
    normal = np.deg2rad(angle)
    distance = X * np.cos(normal) + Y * np.sin(normal) - offset
    return prepared(np.exp(-0.5 * (distance / width) ** 2))


def prepared(image: np.ndarray) -> torch.Tensor:
    image = image - image.mean()
    return torch.from_numpy((image / image.std()).astype(np.float32))[None, None]


def pictures(count: int = 3, seed: int = 0) -> torch.Tensor:
    """Smooth noise, so that half a pixel more or less along a line does not matter."""
    noise = torch.randn(count, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    return smooth / smooth.std()


def on_a_disc(patterns: torch.Tensor, radius: float = 26.0) -> torch.Tensor:
    return patterns * torch.from_numpy(np.hypot(X, Y) < radius)


def angle_of(column: int) -> float:
    return 180 * (column + 0.5) / ANGLES


def offset_of(row: int) -> float:
    return ((row + 0.5) / OFFSETS - 0.5) * 2 * REACH * SIZE


# Lines.


@pytest.mark.parametrize("angle", [2.0, 31.0, 45.0, 77.0, 90.0, 118.0, 163.0, 178.0])
@pytest.mark.parametrize("offset", [-21.0, -4.0, 0.0, 13.0])
def test_a_bright_line_is_a_spot_at_its_angle_and_offset(angle, offset):
    result = TRANSFORM(line(angle, offset))[0, 0]

    row, column = divmod(int(result.argmax()), ANGLES)

    assert result.shape == (OFFSETS, ANGLES)
    assert abs(angle_of(column) - angle) <= 180 / ANGLES
    assert abs(offset_of(row) - offset) <= 1.5 * REACH
    # A spot: what is far from it in the space of lines is much weaker.
    assert result[row, column] > 4 * result.median().abs()


def test_sums_of_an_image_of_ones_are_the_lengths_of_lines():
    lengths = (radon_matrix(SIZE, OFFSETS, ANGLES) @ np.ones(SIZE**2)).reshape(OFFSETS, ANGLES)

    for row in range(0, OFFSETS, 5):
        for column in range(ANGLES):
            cos, sin = (f(np.deg2rad(angle_of(column))) for f in (np.cos, np.sin))
            # Where the line meets the square's sides, along its own direction (-sin, cos).
            ends = [
                sorted(((-SIZE / 2 - start) / step, (SIZE / 2 - start) / step))
                for start, step in ((offset_of(row) * cos, -sin), (offset_of(row) * sin, cos))
            ]
            expected = max(0.0, min(e[1] for e in ends) - max(e[0] for e in ends))
            assert lengths[row, column] == pytest.approx(expected, abs=2.5)


def test_one_pixel_gives_a_sine_curve():
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    image[12, 40] = 1.0
    sums = (radon_matrix(SIZE, OFFSETS, ANGLES) @ image.ravel()).reshape(OFFSETS, ANGLES)

    for column in range(ANGLES):
        angle = np.deg2rad(angle_of(column))
        expected = X[12, 40] * np.cos(angle) + Y[12, 40] * np.sin(angle)
        found = np.average([offset_of(row) for row in range(OFFSETS)], weights=sums[:, column])
        assert found == pytest.approx(expected, abs=0.6)


# Turns and mirrors.


def test_a_quarter_turn_shifts_the_angles_by_half_of_them():
    patterns = pictures()
    result, turned = TRANSFORM(patterns), TRANSFORM(torch.rot90(patterns, 1, (2, 3)))
    half = ANGLES // 2

    expected = torch.cat([result[..., half:], result[..., :half].flip(2)], dim=3)

    assert float((turned - expected).std()) < 0.03
    assert float((turned - result).std()) > 0.5


def test_a_mirror_image_reverses_the_angles():
    patterns = pictures()

    mirrored = TRANSFORM(patterns.flip(3))

    assert float((mirrored - TRANSFORM(patterns).flip(3)).std()) < 0.03


def test_the_neighbour_of_the_last_angle_is_the_first_with_offsets_reversed():
    """A line whose normal points along x has its spot half at either end of the angles."""
    result = TRANSFORM(line(0.0, 15.0))

    wide = wrap_angles(result)[0, 0]

    assert wide.shape == (OFFSETS, ANGLES + 2)
    row = int(result[0, 0, :, 0].argmax())
    assert abs(offset_of(row) - 15) <= 2 * REACH
    assert int(result[0, 0, :, -1].argmax()) == OFFSETS - 1 - row
    assert int(wide[:, 0].argmax()) == int(wide[:, 1].argmax()) == row
    assert int(wide[:, -1].argmax()) == int(wide[:, -2].argmax()) == OFFSETS - 1 - row


# Screens and noise.


def test_patterns_of_a_batch_do_not_see_each_other_whatever_their_screens():
    whole, round_ones = pictures(2, seed=1), on_a_disc(pictures(2, seed=2))
    narrow = on_a_disc(pictures(1, seed=3), radius=18)
    batch = torch.cat([round_ones[:1], whole, round_ones[1:], narrow])

    together = TRANSFORM(batch)

    torch.testing.assert_close(together, torch.cat([TRANSFORM(p[None]) for p in batch]))


def test_noise_is_as_strong_on_short_lines_as_on_long_ones():
    noise = torch.randn(300, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(5))
    screen = on_a_disc(torch.ones(1, 1, SIZE, SIZE))
    sums = radon_matrix(SIZE, OFFSETS, ANGLES) @ screen.numpy().ravel()
    lengths = torch.from_numpy(sums.reshape(OFFSETS, ANGLES))

    result = TRANSFORM(on_a_disc(noise))

    spread = result.std(dim=0)[0]
    short = spread[(lengths > SHORTEST) & (lengths < 25)].mean()
    long = spread[lengths > 40].mean()
    assert float(short) == pytest.approx(float(long), rel=0.05)
    assert not result[:, 0, lengths <= SHORTEST].any()


def test_the_result_is_in_units_of_its_own_spread():
    result = TRANSFORM(torch.cat([pictures(), 7 * pictures()]))

    torch.testing.assert_close(result.std(dim=(1, 2, 3)), torch.ones(6))
    torch.testing.assert_close(result[:3], result[3:])


def test_a_frame_with_nothing_on_it_gives_nothing():
    blank = torch.zeros(2, 1, SIZE, SIZE, requires_grad=True)

    result = TRANSFORM(blank)
    result.sum().backward()

    assert not result.any()
    assert blank.grad is not None
    assert blank.grad.isfinite().all()


# Gradients.


def test_the_gradient_of_a_spot_is_its_line_in_the_pattern():
    with torch.inference_mode():  # what is kept from a call like this must serve the next one
        other = RadonTransform(OFFSETS, 40)
        other(pictures())
    pattern = pictures(1).requires_grad_()
    row, column = 40, 11

    other(pattern)[0, 0, row, column].backward()

    assert pattern.grad is not None
    size = pattern.grad[0, 0].abs().numpy()
    angle = np.pi * (column + 0.5) / 40
    distance = np.abs(X * np.cos(angle) + Y * np.sin(angle) - offset_of(row))
    assert size[distance < 0.7].mean() > 10 * size[distance > 3].mean() > 0


def test_other_sizes_of_pattern_and_result():
    for size, offsets, angles in ((32, 16, 12), (96, 64, 48)):
        result = RadonTransform(offsets, angles)(torch.randn(2, 1, size, size))
        assert result.shape == (2, 1, offsets, angles)
        assert result.isfinite().all()
        assert result.any()


def test_half_precision_around_it_does_not_reach_it():
    patterns = pictures()
    expected = TRANSFORM(patterns)
    with torch.autocast("cpu", torch.bfloat16):
        result = TRANSFORM(patterns)
    assert result.dtype == torch.float32
    assert torch.equal(result, expected)
