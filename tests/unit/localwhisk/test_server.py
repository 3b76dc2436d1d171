import pytest

from localwhisk.activations import Activation
from localwhisk.server import print_activation


def activation(**more: object) -> Activation:
    values = {
        "id": "i",
        "namespace": "guest",
        "subject": "guest",
        "name": "a",
        "version": "0.0.1",
        "start": 0,
    }
    return Activation(**{**values, "status": "success", "result": {}, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (activation(path="guest/p/a", end=5, duration=5), "guest/p/a success 5 ms warm i\n"),
        (
            activation(path="guest/a", end=5, duration=5, annotations=[{"key": "initTime", "value": 3}]),
            "guest/a success 5 ms cold i\n",
        ),
        (activation(name="t"), "guest/t success - fire i\n"),
    ],
)
def test_a_line_an_activation(record: Activation, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_activation(record)
    assert capsys.readouterr().out.split(" ", 1)[1] == line


def test_a_closed_output_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    print_activation(activation())
