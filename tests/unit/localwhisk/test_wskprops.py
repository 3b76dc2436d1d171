import stat
from pathlib import Path

from localwhisk import wskprops


def test_a_new_file_has_what_wsk_needs_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "wskprops"
    wskprops.write(path, "http://127.0.0.1:1", "u:k")
    assert path.read_text() == "APIHOST=http://127.0.0.1:1\nAUTH=u:k\nNAMESPACE=_\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["wskprops"]


def test_other_lines_of_an_old_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "wskprops"
    path.write_text("APIHOST = old\nCERT=c.pem\nAUTH=old\n# mine\n")
    wskprops.write(path, "http://127.0.0.1:1", "u:k")
    assert path.read_text().splitlines() == [
        "APIHOST=http://127.0.0.1:1",
        "AUTH=u:k",
        "NAMESPACE=_",
        "CERT=c.pem",
        "# mine",
    ]
