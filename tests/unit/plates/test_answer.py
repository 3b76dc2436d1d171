import hashlib

import numpy as np

from plates import answer
from plates.images import Photo

FOUND = {
    "epoch_time": -1,
    "img_width": 77,
    "results": [
        {
            "plate": "ABC123",
            "confidence": 91.5,
            "coordinates": [{"x": 1, "y": 2}, {"x": 11, "y": 2}, {"x": 11, "y": 7}, {"x": 1, "y": 7}],
            "candidates": [{"plate": "ABC123", "confidence": 91.5}, {"plate": "A8C123", "confidence": 80.0}],
        }
    ],
    "regions_of_interest": [{"x": 0, "y": 0, "width": 10, "height": 5}],
}


def photo(reduction: float) -> Photo:
    return Photo(np.zeros((5, 10, 3), np.uint8), int(10 * reduction), int(5 * reduction), reduction, "JPEG")


def test_coordinates_are_those_of_the_whole_photo() -> None:
    document = answer.complete(FOUND, photo(4.0), n=1, elapsed_ms=12.3456)
    assert (document["img_width"], document["img_height"]) == (40, 20)
    assert document["results"][0]["coordinates"][1] == {"x": 44, "y": 8}
    assert document["regions_of_interest"] == [{"x": 0, "y": 0, "width": 40, "height": 20}]
    assert document["processing_time_ms"] == 12.346


def test_the_best_plate_stands_first_and_candidates_are_n() -> None:
    document = answer.complete(FOUND, photo(1.0), n=1, elapsed_ms=1)
    assert (document["plate"], document["confidence"]) == ("ABC123", 91.5)
    assert [candidate["plate"] for candidate in document["results"][0]["candidates"]] == ["ABC123"]
    assert document["results"][0]["requested_topn"] == 1


def test_no_plate_is_a_whole_answer() -> None:
    document = answer.complete({}, photo(1.0), n=5, elapsed_ms=1)
    assert document["results"] == []
    assert document["plate"] is None
    assert document["confidence"] is None
    assert document["version"] == 2
    assert document["data_type"] == "alpr_results"
    assert document["epoch_time"] > 1_700_000_000_000


def test_the_source_is_bytes_and_digest() -> None:
    facts = answer.source(b"photo", "JPEG", given_as="url")
    assert facts == {"given_as": "url", "kind": "jpeg", "bytes": 5, "sha256": hashlib.sha256(b"photo").hexdigest()}
