from dataclasses import replace

import cv2
import numpy as np
import pytest
from fake_records import boxes, comparison, picture, trace

from crop_core.region import Region
from ui import figures, overlays, palette

REGION = Region(2, 1, 4, 3, 336, 336, "predicted", 0.83)


def test_the_sheet_holds_three_pictures_and_their_captions() -> None:
    sheet = overlays.sheet(picture(), trace(REGION))
    assert sheet.shape == (overlays.SIDE + 44, 3 * overlays.SIDE + 48, 3)
    back = cv2.imdecode(np.frombuffer(overlays.png(sheet), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(back, sheet)


def at(picture_: np.ndarray, region: Region, token: int) -> tuple[int, int]:
    """Row and column, in pixels of the overlay, of a token's centre."""
    left, top, right, bottom = boxes(region.width, region.height)[0][token]
    ratio = picture_.shape[1] / region.width
    return round((top + bottom) / 2 * ratio), round((left + right) / 2 * ratio)


def test_pruning_veils_exactly_the_tokens_that_are_gone() -> None:
    how = trace(REGION, plc=False)
    plain = overlays.canvas(picture())
    for layer in (0, 1, 3, 11):
        drawn = overlays.pruning_picture(picture(), how, layer)
        edge = {token for token in range(576) if near_region_edge(token)}
        for token in set(range(576)) - edge:
            spot = at(drawn, REGION, token)
            assert np.array_equal(drawn[spot], plain[spot]) == (how.died_at[token] > layer), (layer, token)


def near_region_edge(token: int) -> bool:
    """Whether the region's frame may be drawn over a token."""
    row, column = divmod(token, 24)
    return (row in (2, 3, 11, 12) and 5 <= column <= 15) or (column in (5, 6, 14, 15) and 2 <= row <= 12)


def test_compression_tints_pooled_tokens_and_leaves_the_region_alone() -> None:
    how = trace(REGION)
    plain, drawn = overlays.canvas(picture()), overlays.compression_picture(picture(), how)
    inside, outside = at(drawn, REGION, 7 * 24 + 9), at(drawn, REGION, 23 * 24 + 1)
    assert np.array_equal(drawn[inside], plain[inside])
    grey = plain[outside].astype(float) @ np.array([0.114, 0.587, 0.299])
    expected = 0.62 * grey + 0.38 * np.array(palette.bgr(palette.ring_colour(2)))
    assert np.allclose(drawn[outside], expected, atol=2)


def test_what_the_model_cannot_see_is_hatched_in_every_picture() -> None:
    region = Region(3, 2, 4, 3, 640, 320, "predicted", 0.5)
    image, how = picture(640, 320), trace(region)
    plain = overlays.canvas(image)
    for drawn in (
        overlays.region_picture(image, how),
        overlays.compression_picture(image, how),
        overlays.pruning_picture(image, how, 0),
    ):
        border = (slice(None), slice(0, 170))
        assert (drawn[border] != plain[border]).any(axis=2).mean() > 0.95


def test_time_bars_add_up_to_the_total() -> None:
    result = comparison()
    figure = figures.time_split(result)
    assert figure.layout.barmode == "stack"
    sums = np.sum([bar.x for bar in figure.data], axis=0)
    assert sums == pytest.approx([1000 * result.crop.cost.total_s, 1000 * result.baseline.cost.total_s])


def test_the_alive_curve_is_the_traces() -> None:
    result = comparison()
    baseline, crop = figures.alive_curve(result).data
    assert list(crop.y) == result.crop.trace.alive_counts.tolist()
    assert list(baseline.y) == [576] * result.crop.trace.layers


def test_rings_beyond_the_palette_share_its_last_colour() -> None:
    assert palette.ring_colour(99) == palette.RINGS[-1]
    assert palette.ring_colour(0) == palette.REGION
    assert palette.bgr("#0072b2") == (0xB2, 0x72, 0x00)


def test_where_there_are_tiles_they_are_what_is_drawn() -> None:
    how = trace(REGION, plc=False)
    below = how.boxes[:, 1] >= 168  # the lower half is taken for the only tiles
    tiled = replace(how, view=below.astype(int))
    plain = overlays.canvas(picture())
    drawn, whole = (overlays.pruning_picture(picture(), each, 11) for each in (tiled, how))
    middle = len(plain) // 2
    frame = round(0.7 * middle)  # the region's frame ends above
    assert np.array_equal(drawn[:8], plain[:8]) and not np.array_equal(whole[:8], plain[:8])
    assert np.array_equal(drawn[middle + frame :], whole[middle + frame :])
