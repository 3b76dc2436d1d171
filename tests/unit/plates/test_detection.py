from pathlib import Path

import pytest

from plates import detection
from plates.detection import Place
from plates.recognize import grouped


def test_overlap_is_shared_area_by_joint_area() -> None:
    assert Place(0, 0, 10, 10).overlap(Place(0, 0, 10, 10)) == 1
    assert Place(0, 0, 10, 10).overlap(Place(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert Place(0, 0, 10, 10).overlap(Place(20, 0, 10, 10)) == 0


def test_places_about_one_middle_are_one_spot_the_largest_first() -> None:
    spots = grouped([Place(10, 10, 40, 20), Place(0, 5, 70, 35), Place(200, 10, 40, 20)], "us")
    assert [[place.x for place in spot.places] for spot in spots] == [[0, 10], [200]]


def test_a_spot_keeps_few_places() -> None:
    (spot,) = grouped([Place(x, 0, 100, 50) for x in range(10)], "us")
    assert len(spot.places) == 3


def test_the_photo_is_reduced_as_openalpr_reduces_it() -> None:
    assert detection._reduction(2560, 900) == 0.5
    assert detection._reduction(900, 1440) == 0.5
    assert detection._reduction(1280, 720) == 1


def test_settings_of_a_country_file(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/us.conf").write_text(
        "; min_plate_size_width_px = 1\nmin_plate_size_width_px = 70 ; pixels\nempty =\n"
    )
    assert detection._setting(tmp_path, "us", "min_plate_size_width_px") == "70"
    assert detection._setting(tmp_path, "us", "empty") is None
    assert detection._setting(tmp_path, "us", "unknown") is None
