"""What every keeper of models and breakers must do; subclassed for the in-memory twins and for Redis."""

from hort.breaker import Breakers
from hort.model_store import ModelStore
from hort.models import BreakerRule

RULE = BreakerRule(failures=3, within_s=60, open_s=30)


class ModelStoreContract:
    def test_a_model_is_kept_and_forgotten(self, store: ModelStore) -> None:
        assert store.get("m") is None
        assert store.replace("m", expected=None, value=b"1", limit=5) == "ok"
        assert store.get("m") == b"1"
        assert store.all() == {"m": b"1"}
        assert store.delete("m")
        assert not store.delete("m")
        assert store.all() == {}

    def test_a_change_is_refused_when_somebody_else_was_first(self, store: ModelStore) -> None:
        store.replace("m", expected=None, value=b"1", limit=5)
        assert store.replace("m", expected=None, value=b"2", limit=5) == "changed"
        assert store.replace("m", expected=b"0", value=b"2", limit=5) == "changed"
        assert store.replace("m", expected=b"1", value=b"2", limit=5) == "ok"
        assert store.get("m") == b"2"

    def test_the_limit_stops_new_models_only(self, store: ModelStore) -> None:
        for name in ("a", "b"):
            assert store.replace(name, expected=None, value=b"1", limit=2) == "ok"
        assert store.replace("c", expected=None, value=b"1", limit=2) == "full"
        assert store.replace("a", expected=b"1", value=b"2", limit=2) == "ok"

    def test_the_active_list_is_replaced_as_a_whole(self, store: ModelStore) -> None:
        assert store.active() is None
        assert store.set_active(b"{}", poll=store.begin_poll())
        assert store.set_active(b'{"models":[]}', poll=store.begin_poll())
        assert store.active() == b'{"models":[]}'

    def test_the_poll_that_began_last_counts(self, store: ModelStore) -> None:
        stood_still, newer = store.begin_poll(), store.begin_poll()
        assert store.set_active(b"newer", poll=newer)
        assert not store.set_active(b"older", poll=stood_still)
        assert store.active() == b"newer"
        assert store.set_active(b"newer", poll=newer), "sent again after a lost answer"

    def test_a_failed_poll_writes_only_over_what_it_found(self, store: ModelStore) -> None:
        number = store.begin_poll()
        assert store.keep_active(b"nothing, and why", expected=None)
        assert store.set_active(b"list", poll=number), "one that fails does not stop an earlier one that succeeds"
        assert not store.keep_active(b"nothing, and why not", expected=b"nothing, and why")
        assert store.active() == b"list"
        assert store.keep_active(b"list, and why", expected=b"list")
        assert store.active() == b"list, and why"

    def test_polls_go_on_counting_from_the_one_that_wrote(self, store: ModelStore) -> None:
        """Redis came back empty while a poll was under way."""
        assert store.set_active(b"old", poll=5001)
        assert store.set_active(b"new", poll=store.begin_poll())

    def test_numbers_add_up_and_facts_are_replaced(self, store: ModelStore) -> None:
        store.add_stats("m", counts={"ok": 2, "error": 0}, facts={"last_at": "then"})
        store.add_stats("m", counts={"ok": 3}, facts={"last_at": "now"})
        assert store.stats(["m", "n"]) == {"m": {"ok": "5", "last_at": "now"}, "n": {}}

    def test_deleting_a_model_forgets_its_numbers(self, store: ModelStore) -> None:
        store.replace("m", expected=None, value=b"1", limit=5)
        store.add_stats("m", counts={"ok": 2}, facts={})
        store.delete("m")
        assert store.stats(["m"]) == {"m": {}}


class BreakerContract:
    def test_it_opens_after_so_many_failures_and_lets_one_probe_through(self, breakers: Breakers) -> None:
        assert [breakers.failed("m", RULE, now=now) for now in (0, 1, 2)] == [False, False, True]
        assert breakers.enter("m", RULE, now=3) == "open"
        assert breakers.enter("m", RULE, now=30_001) == "open"
        assert breakers.enter("m", RULE, now=30_002) == "probe"
        assert breakers.enter("m", RULE, now=30_003) == "open"
        breakers.succeeded("m")
        assert breakers.enter("m", RULE, now=30_004) == "closed"
        assert not breakers.failed("m", RULE, now=30_005)

    def test_a_probe_that_fails_opens_it_again(self, breakers: Breakers) -> None:
        for now in (0, 1, 2):
            breakers.failed("m", RULE, now=now)
        assert breakers.enter("m", RULE, now=40_000) == "probe"
        assert breakers.failed("m", RULE, now=40_100)
        assert breakers.enter("m", RULE, now=70_000) == "open"
        assert breakers.enter("m", RULE, now=70_100) == "probe"

    def test_a_probe_that_never_reports_is_given_to_another(self, breakers: Breakers) -> None:
        for now in (0, 1, 2):
            breakers.failed("m", RULE, now=now)
        assert breakers.enter("m", RULE, now=40_000) == "probe"
        assert breakers.enter("m", RULE, now=99_999) == "open"
        assert breakers.enter("m", RULE, now=100_000) == "probe"

    def test_failures_that_lie_too_far_apart_do_not_count(self, breakers: Breakers) -> None:
        assert not any(breakers.failed("m", RULE, now=now) for now in range(0, 600_000, 31_000))
        assert breakers.enter("m", RULE, now=600_000) == "closed"

    def test_models_do_not_share_a_breaker(self, breakers: Breakers) -> None:
        for now in (0, 1, 2):
            breakers.failed("m", RULE, now=now)
        assert breakers.enter("n", RULE, now=3) == "closed"

    def test_no_failures_means_no_breaker(self, breakers: Breakers) -> None:
        off = BreakerRule(failures=0)
        assert not any(breakers.failed("m", off, now=now) for now in range(50))
        assert breakers.enter("m", off, now=51) == "closed"

    def test_states_are_shown_without_taking_the_probe(self, breakers: Breakers) -> None:
        for now in (0, 1, 2):
            breakers.failed("m", RULE, now=now)
        assert breakers.states(["m", "n"], now=3) == {"m": "open", "n": "closed"}
        assert breakers.states(["m"], now=40_000) == {"m": "half-open"}
        assert breakers.enter("m", RULE, now=40_000) == "probe"
