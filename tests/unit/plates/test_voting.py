from hypothesis import given
from hypothesis import strategies as st

from plates import voting
from plates.looks import Reading
from plates.patterns import Patterns

SLOVAK = Patterns([("sk", "@@###@@"), ("cz", "#@#####")])
OHIO = Patterns([("oh", "@@@####"), ("base", "@@@###")])
NONE = Patterns([])


def reading(*candidates: tuple[str, float]) -> Reading:
    entries = [{"plate": plate, "confidence": confidence} for plate, confidence in candidates]
    return Reading({"confidence": candidates[0][1], "candidates": entries})


def plates(readings: list[Reading], rules: Patterns = NONE, region: str | None = None) -> list[str]:
    return [vote.plate for vote in voting.rank(readings, rules, region=region)]


def test_nothing_read_gives_no_plate() -> None:
    assert voting.rank([], NONE) == []


def test_one_reading_without_a_pattern_stays_as_it_is() -> None:
    assert plates([reading(("ABCDE", 90.0), ("ABCOE", 85.0))])[0] == "ABCDE"


def test_zero_and_o_are_settled_by_the_pattern() -> None:
    best = voting.rank([reading(("RKO19AF", 89.4))], SLOVAK)[0]
    assert (best.plate, best.share, best.confidence) == ("RK019AF", 1.0, 89.4)


def test_most_readings_win_over_the_most_confident() -> None:
    readings = [reading(("ABC1234", 85.0))] * 4 + [reading(("XYC1284", 90.0))]
    assert plates(readings, OHIO)[0] == "ABC1234"


def test_what_looks_missed_is_put_together() -> None:
    heard = [
        reading(("ABC12", 84.0)),
        reading(("BC1234", 84.0)),
        reading(("BC1234", 83.0)),
        reading(("ABC12", 83.0)),
    ]
    assert "ABC1234" in plates(heard, OHIO)[:2]


def test_a_plate_of_no_pattern_that_every_look_reads_is_kept() -> None:
    assert plates([reading(("FZRULZ", 93.0))] * 6, OHIO)[0] == "FZRULZ"


def test_merged_holds_both_or_is_none() -> None:
    assert voting.merged("ABC12", "BC123") == ["ABC123"]
    assert voting.merged("NR374", "XR374") == []
    assert voting.merged("ABC123", "ABC123") == []
    assert voting.merged("AB", "ABC") == []
    assert voting.merged("ABCDE123", "BCDE1234") == [], "longer than a plate"


@given(
    st.lists(
        st.lists(
            st.tuples(st.text("ABO0I18", min_size=1, max_size=9), st.floats(65, 100)), min_size=1, max_size=5
        ),
        min_size=1,
        max_size=6,
    )
)
def test_ranks_are_ordered_and_never_fail(heard: list[list[tuple[str, float]]]) -> None:
    votes = voting.rank([reading(*candidates) for candidates in heard], SLOVAK)
    assert votes
    assert [vote.score for vote in votes] == sorted((vote.score for vote in votes), reverse=True)
    assert all(0 <= vote.share <= 1 for vote in votes)
    assert len({vote.plate for vote in votes}) == len(votes)
