from pathlib import Path

from plates import patterns
from plates.patterns import Patterns

RULES = Patterns(
    [
        ("mo", "@@#@#@"),
        ("tx", "@@@####"),
        ("oh", "@@@####"),
        ("hi", "[A-HJ]@@###"),
        ("fl", "@##?#@@"),
        ("mc", "????"),
    ]
)


def test_letters_digits_and_classes() -> None:
    assert RULES.regions("SL7C6S") == {"mo"}
    assert RULES.regions("ABC1234") == {"tx", "oh"}
    assert RULES.matches("HAB123")
    assert not RULES.matches("ZAB123")


def test_a_skipped_position_is_not_part_of_the_plate() -> None:
    assert RULES.regions("A123BC") == {"fl"}


def test_a_pattern_of_skipped_positions_only_says_nothing() -> None:
    assert not RULES.matches("1111")


def test_a_named_region_decides() -> None:
    assert RULES.matches("SL7C6S", "mo")
    assert not RULES.matches("SL7C6S", "tx")


def test_more_regions_make_a_plate_likelier_and_the_named_one_most() -> None:
    assert RULES.prior("ABC1234") > RULES.prior("SL7C6S") > RULES.prior("A1B2C3")
    assert RULES.prior("SL7C6S", "mo") > RULES.prior("ABC1234", "mo")


def test_without_a_pattern_fewer_changes_are_likelier() -> None:
    assert RULES.prior("KMBORAK") > RULES.prior("KMB0RAK")


def test_files_are_read_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "share/openalpr/runtime_data/postprocess"
    folder.mkdir(parents=True)
    (folder / "xx.patterns").write_text("aa\t@@##\n\n# a remark here\nbb  ##@@\n")
    assert patterns.of(tmp_path, "xx").regions("AB12") == {"aa"}
    assert patterns.of(tmp_path, "xx").regions("12AB") == {"bb"}
    assert not patterns.of(tmp_path, "yy").matches("AB12")
