"""What OpenWhisk may answer to a fire, and what becomes of the batch."""

import json

from hort import keys
from tests.support.polling import wait_until
from tests.support.provider import TRIGGER, Consumer, FakeWhisk, Provider, publish, publisher, started_line

FAST = {"max_fires_per_minute": 600, "linger_ms": 20}


def send(url: str, topic: str, payloads: list[bytes]) -> None:
    with publisher(url) as client:
        publish(client, topic, payloads)


def test_no_active_rule_holds_until_there_is_one(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda _number: (204, None)
    provider.create(url=mqtt_url, topics=topic_root, **FAST)
    send(mqtt_url, topic_root, [b"early"])
    wait_until(lambda: openwhisk.attempts >= 2, what="fired again while held")
    wait_until(lambda: "reason" in provider.read()["status"], what="status tells")
    status = provider.read()["status"]
    assert status["active"] is True
    assert status["reason"] == {"kind": "HOLD", "statusCode": 204, "message": "no active rule"}
    openwhisk.answer = lambda _number: (202, None)
    wait_until(lambda: consumer.payloads == [b"early"], what="delivered")
    wait_until(lambda: "reason" not in provider.read()["status"], what="status clear again")


def test_server_errors_and_lost_connections_keep_the_batch(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda number: ((503, 502, 409, 408)[number - 1], {"error": "later"}) if number <= 4 else (202, None)
    provider.create(url=mqtt_url, topics=topic_root, **FAST)
    send(mqtt_url, topic_root, [b"a", b"b"])
    wait_until(lambda: sorted(consumer.payloads) == [b"a", b"b"], timeout_s=120, what="delivered")
    assert provider.read()["status"]["active"] is True
    assert provider.metric("refires_total") == 0


def test_throttled_waits_for_the_next_minute(
    provider: Provider, openwhisk: FakeWhisk, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda _number: (429, {"error": "Too many requests in the last minute (count: 61, allowed: 60)."})
    provider.create(url=mqtt_url, topics=topic_root, **FAST)
    send(mqtt_url, topic_root, [b"a"])
    wait_until(lambda: openwhisk.attempts >= 1, what="fired")
    line = wait_until(lambda: provider.logged("kept"), what="log")[0]
    seconds = float(line["time"][17:-1])
    beyond = (seconds + line["retry_in_ms"] / 1000 + 0.1) % 60
    assert 0 <= beyond <= 2.1, "at the next minute's beginning or, so that not all come at once, a little later"
    assert provider.read()["status"]["active"] is True
    wait_until(lambda: provider.read()["journal"]["batches"] == 1, what="kept")


def test_refused_switches_off_and_an_update_goes_on(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda _number: (401, {"error": "The supplied authentication is invalid"})
    provider.create(url=mqtt_url, topics=topic_root, **FAST)
    send(mqtt_url, topic_root, [b"a"])
    wait_until(lambda: not provider.read()["status"]["active"], what="disabled")
    reason = provider.read()["status"]["reason"]
    assert (reason["kind"], reason["statusCode"]) == ("AUTO", 401)
    assert "The supplied authentication is invalid" in reason["message"]
    send(mqtt_url, topic_root, [b"b"])
    assert openwhisk.attempts == 1
    openwhisk.answer = lambda _number: (202, None)
    assert provider.call("PUT", {"params": {"linger_ms": 30}}).json()["status"]["active"] is True
    wait_until(lambda: sorted(consumer.payloads) == [b"a", b"b"], what="delivered")


def test_unfinished_batches_are_fired_again(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    consumer.ack = False
    provider.create(url=mqtt_url, topics=topic_root, ack_deadline_s=1, **FAST)
    send(mqtt_url, topic_root, [b"a"])
    wait_until(lambda: len(openwhisk.fires) >= 2, what="fired again")
    consumer.ack = True
    wait_until(lambda: consumer.journal.size(keys.journal(0, keys.registration_id(TRIGGER))) == 0, what="stored")
    assert len({fire["batch_id"] for fire in openwhisk.fires}) == 1
    wait_until(lambda: provider.metric("refires_total") >= 1, what="counted")


def test_only_so_many_batches_in_flight(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    consumer.ack = False
    provider.create(url=mqtt_url, topics=topic_root, max_unacked=2, max_records=1, ack_deadline_s=3600, **FAST)
    send(mqtt_url, topic_root, [b"%d" % number for number in range(10)])
    wait_until(lambda: provider.read()["journal"]["batches"] == 10, what="all journalled")
    wait_until(lambda: len(openwhisk.fires) >= 2, what="as many fired as may be")
    assert len(openwhisk.fires) == 2


def test_full_journal_makes_the_broker_wait(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda _number: (503, None)
    provider.create(url=mqtt_url, topics=topic_root, max_journal_batches=2, max_records=10, **FAST)
    sent = [b"%d" % number for number in range(500)]
    for start in range(0, 500, 25):
        send(mqtt_url, topic_root, sent[start : start + 25])
    wait_until(lambda: provider.read()["journal"]["batches"] >= 2, what="journal full")
    assert provider.read()["journal"]["batches"] <= 30
    openwhisk.answer = lambda _number: (202, None)
    wait_until(lambda: sorted(consumer.payloads) == sorted(sent), timeout_s=300, what="all delivered")


def test_inline_is_done_when_the_rules_have_started(
    provider: Provider, openwhisk: FakeWhisk, mqtt_url: str, topic_root: str
) -> None:
    too_many = started_line(success=False, error="Rule 'guest/off' is inactive, action 'guest/b' was not activated.")
    openwhisk.logs = lambda _activation: [started_line(), too_many]
    provider.create(url=mqtt_url, topics=topic_root, delivery="inline", **FAST)
    send(mqtt_url, topic_root, [b'{"t": 1}', b"\xff\xfe"])
    # The two may come in two batches, and the status may still be of the time before the first.
    wait_until(lambda: sum(len(fire["messages"]) for fire in openwhisk.fires) == 2, what="fired")
    wait_until(lambda: provider.read()["journal"]["batches"] == 0, what="done")
    rows = [row for fire in openwhisk.fires for row in fire["messages"]]
    assert [(row["topic"], row["payload"], row["encoding"]) for row in rows] == [
        (topic_root, '{"t": 1}', "utf-8"),
        (topic_root, "//4=", "base64"),
    ]
    assert all(set(row) == {"topic", "payload", "encoding", "qos", "retained", "received_at"} for row in rows)


def test_inline_is_fired_again_when_a_rule_could_not_start(
    provider: Provider, openwhisk: FakeWhisk, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.logs = lambda activation: [started_line(success=int(activation, 16) > 1, error="The requested resource does not exist.")]
    provider.create(url=mqtt_url, topics=topic_root, delivery="inline", **FAST)
    send(mqtt_url, topic_root, [b"a"])
    wait_until(lambda: len(openwhisk.fires) == 2, what="fired again")
    wait_until(lambda: provider.read()["journal"]["batches"] == 0, what="done")


def test_a_reference_is_fired_again_when_a_rule_could_not_start_before_its_deadline(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.logs = lambda activation: [started_line(success=int(activation, 16) > 1, error="The requested resource does not exist.")]
    openwhisk.on_fire = lambda payload: consumer(payload) if len(openwhisk.fires) > 1 else None
    provider.create(url=mqtt_url, topics=topic_root, ack_deadline_s=3600, **FAST)
    send(mqtt_url, topic_root, [b"a"])
    wait_until(lambda: consumer.payloads == [b"a"], what="fired again")
    assert provider.metric("not_started_total") == 1


def test_no_key_in_the_log(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda number: (500, {"error": "broken"}) if number == 1 else (403, {"error": "no"})
    provider.create(url=mqtt_url, topics=topic_root, username="somebody", password="a-password-of-the-test", **FAST)
    send(mqtt_url, topic_root, [b"a"])
    wait_until(lambda: not provider.read()["status"]["active"], what="disabled")
    for secret in ("a-password-of-the-test", "key-of-the-tests", "a-secret-for-tests-only", "a-key-for-tests-only"):
        assert secret not in provider.log
        assert secret not in json.dumps(provider.read())
