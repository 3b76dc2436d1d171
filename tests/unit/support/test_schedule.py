from tests.support.schedule import free_bytes, kind, order, workers


def test_the_longest_come_first_and_the_longest_of_all_is_followed_by_the_shortest_of_the_second_ones() -> None:
    takes = {"a": 1.0, "b": 60.0, "c": 30.0, "d": 20.0, "e": 10.0, "f": 40.0}
    assert order(takes, workers=2) == ["b", "f", "d", "c", "e", "a"]


def test_equal_ones_have_one_order_in_each_worker() -> None:
    assert order({"b": 1.0, "a": 1.0, "c": 1.0}, workers=1) == ["a", "b", "c"]


def test_a_test_s_kind_is_its_folder() -> None:
    assert kind("tests/integration/feeds/test_topics.py::test_one[a/b]") == "integration"


def test_workers_are_as_many_as_processors_and_memory_allow() -> None:
    assert workers(processors=2, free_bytes=24 * 10**9) == 6
    assert workers(processors=2, free_bytes=8 * 10**9) == 3
    assert workers(processors=1, free_bytes=10**9) == 1
    assert free_bytes("MemTotal:  9 kB\nMemAvailable:   20 kB\n") == 20_480
