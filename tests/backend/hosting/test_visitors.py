"""Who a visitor is, what the demo allows, where their data is stored, and when it is
deleted.
"""

import os
import stat
from functools import partial
from pathlib import Path

import pytest

from backend.errors import NotInDemo
from backend.hosting import visitors as hosting
from backend.hosting.policy import DEMO, HOME, Feature, Limits, chosen
from backend.hosting.visitors import Visitors


def make(tmp_path: Path, **limits: float) -> Visitors:
    return Visitors(tmp_path / "visitors", Limits(**limits))  # type: ignore[arg-type]


def new(visitors: Visitors) -> str:
    visitor = visitors.of_key(visitors.new_key())
    assert visitor
    visitors.visit(visitor)
    return visitor


def test_a_key_means_the_same_visitor_also_after_a_restart(tmp_path: Path) -> None:
    key = make(tmp_path).new_key()
    first, again = make(tmp_path).of_key(key), make(tmp_path).of_key(key)
    assert first == again != make(tmp_path).of_key(make(tmp_path).new_key())
    assert first
    assert first not in key, (
        "a folder's name says nothing about the key, nor the key about the folder"
    )


def test_a_key_that_another_server_made_or_somebody_wrote_is_none(
    tmp_path: Path,
) -> None:
    visitors = make(tmp_path)
    number, _, signature = visitors.new_key().partition(".")
    other = make(tmp_path / "other").new_key()
    forged = (
        f"{number}.",
        f"{number}.{'0' * 64}",
        f"{'1' * 64}.{signature}",
        other,
        number,
    )
    for key in (*forged, "", ".", "../x.y", "ä.ö"):
        assert visitors.of_key(key) is None, key


def test_accounts_and_browsers_never_meet_and_no_name_becomes_a_path(
    tmp_path: Path,
) -> None:
    visitors = make(tmp_path)
    names = [
        visitors.of_account(account)
        for account in ("../../etc", "a/b", "anna", "bert", "")
    ]
    assert len(set(names)) == 5
    assert all(len(name) == 32 and name.isalnum() for name in names)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_only_the_owner_can_read(tmp_path: Path) -> None:
    visitors = make(tmp_path)
    folder = visitors.folder(new(visitors))
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (folder, folder.parent, tmp_path / "visitors.secret")
    ]
    assert modes == [0o700, 0o700, 0o600]


def test_who_was_not_here_for_long_is_deleted_and_what_is_linked_stays(
    tmp_path: Path,
) -> None:
    visitors = make(tmp_path, lifetime=3600)
    gone, here = new(visitors), new(visitors)
    shared = tmp_path / "models"
    shared.mkdir()
    (shared / "weights").write_text("shared")
    (visitors.folder(gone) / "models").symlink_to(shared)
    long_ago = visitors.folder(gone).stat().st_mtime - 3700
    os.utime(visitors.folder(gone), (long_ago, long_ago))
    assert list(filter(visitors.is_expired, visitors.all())) == [gone]
    visitors.set_aside(gone)
    assert visitors.all() == [here]
    assert visitors.loss(gone) == "expired"
    visitors.delete_set_aside()
    assert [path.name for path in visitors.root.iterdir()] == [here]
    assert (shared / "weights").read_text() == "shared"


def test_a_visit_puts_the_end_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors = make(tmp_path, lifetime=3600)
    visitor = new(visitors)
    os.utime(visitors.folder(visitor), (1, 1))
    monkeypatch.setattr(hosting, "_TOUCH", 0.0)
    visitors.visit(visitor)
    assert not any(map(visitors.is_expired, visitors.all()))


def test_of_a_full_demo_who_made_nothing_and_was_away_longest_leaves_first(
    tmp_path: Path,
) -> None:
    visitors = make(tmp_path, visitors=3)
    busy, idle, empty = new(visitors), new(visitors), new(visitors)
    (visitors.folder(busy) / "runs" / "a").mkdir(parents=True)
    visitors.visit(empty)
    visitors.visit(busy)
    comes = visitors.of_key(visitors.new_key())
    assert comes
    assert visitors.dispensable(comes) == idle
    assert visitors.dispensable(busy) is None, "who is here already needs no room"
    visitors.set_aside(idle, None)
    assert visitors.dispensable(comes) is None
    assert visitors.loss(idle) is None, "nothing was lost"
    visitors.visit(comes)
    for other in (empty, comes):
        (visitors.folder(other) / "datasets" / "a").mkdir(parents=True)
    assert visitors.dispensable("another") is None, "nobody leaves who made something"


def test_people_who_signed_in_have_places_of_their_own(tmp_path: Path) -> None:
    visitors = make(tmp_path, visitors=1)
    new(visitors)
    visitors.visit(visitors.of_account("anna"))
    for full in (
        lambda: new(visitors),
        lambda: visitors.visit(visitors.of_account("bert")),
    ):
        with pytest.raises(NotInDemo):
            full()


def test_people_at_one_address_get_half_of_the_places(tmp_path: Path) -> None:
    visitors = make(tmp_path, visitors=4)
    at = {
        name: str(visitors.of_key(visitors.new_key()))
        for name in ("first", "second", "third", "elsewhere")
    }
    for name, visitor in at.items():
        visitors.note_address(
            visitor, "192.0.2.2" if name == "elsewhere" else "192.0.2.1"
        )
    for name in ("first", "second"):
        (visitors.visit(at[name]) / "runs").mkdir()
        (visitors.folder(at[name]) / "runs" / "made").mkdir()
    with pytest.raises(
        NotInDemo, match="2 people have used it lately from your address"
    ):
        visitors.visit(at["third"])
    assert visitors.dispensable(at["third"]) is None
    assert visitors.visit(at["elsewhere"]).is_dir()
    (visitors.folder(at["second"]) / "runs" / "made").rmdir()
    assert visitors.dispensable(at["third"]) == at["second"]


def test_visitors_are_grouped_by_address(tmp_path: Path) -> None:
    visitors = make(tmp_path)
    one, same, other, unknown = (new(visitors) for _ in range(4))
    for visitor, address in (
        (one, "192.0.2.1"),
        (same, "192.0.2.1"),
        (other, "192.0.2.2"),
        (unknown, ""),
    ):
        visitors.note_address(visitor, address)
    assert {folder.name for folder in visitors.at_the_same_address(one)} == {one, same}
    assert visitors.at_the_same_address(unknown) == set()
    visitors.visit(same)
    for _ in range(1000):  # cookies that made nothing
        visitors.note_address(str(visitors.of_key(visitors.new_key())), "192.0.2.3")
    visitors.note_address(one, "192.0.2.1")
    assert {folder.name for folder in visitors.at_the_same_address(one)} == {one, same}


@pytest.mark.parametrize("limits", [{"visitor_disk": 1.0}, {"disk": 1.0}])
def test_disk_space_is_limited_for_each_and_for_all(
    tmp_path: Path, limits: dict[str, float]
) -> None:
    visitors = make(tmp_path, **limits)
    full, other = new(visitors), new(visitors)
    visitors.require_disk(other)
    (visitors.folder(full) / "big").write_bytes(bytes(1 << 20))
    visitors = make(tmp_path, **limits)
    with pytest.raises(NotInDemo, match=r"1\.0 MB"):
        visitors.require_disk(full)
    if "disk" in limits:
        with pytest.raises(NotInDemo):
            visitors.require_disk(other)
    else:
        visitors.require_disk(other)


def test_datasets_and_jobs_of_a_visitor_are_limited_in_number(tmp_path: Path) -> None:
    visitors = make(tmp_path, visitor_folders=3)
    one = new(visitors)
    for made in ("datasets/a", "runs/b", "runs/c"):
        visitors.require_disk(one)
        (visitors.folder(one) / made).mkdir(parents=True)
    with pytest.raises(NotInDemo, match="are 3"):
        visitors.require_disk(one)


def test_what_lies_behind_a_junction_of_windows_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "visitor").mkdir()
    for folder in (tmp_path, tmp_path / "visitor"):
        (folder / "file").write_bytes(bytes(1 << 20))
    (tmp_path / "visitor" / "models").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.setattr(os, "walk", partial(os.walk, followlinks=True))
    assert hosting.disk_mib(tmp_path / "visitor") == 1


def test_a_loss_is_told_once(tmp_path: Path) -> None:
    visitors = make(tmp_path)
    visitors.note_loss("one", "restarted")
    assert [visitors.loss("one"), visitors.loss("one"), visitors.loss("two")] == [
        "restarted",
        None,
        None,
    ]


@pytest.mark.parametrize(
    "environment",
    [{"APPRENTICE_DEMO": "1"}, {"SPACE_ID": "me/apprentice"}, {"SYSTEM": "spaces"}],
)
def test_a_demo_is_one_by_its_own_variable_or_those_of_a_space(
    environment: dict[str, str],
) -> None:
    for own in ("1", environment.get("APPRENTICE_DEMO", "0")):
        assert chosen({**environment, "APPRENTICE_DEMO": own}) is DEMO, (
            "a Space can't switch it off"
        )


@pytest.mark.parametrize(
    "environment", [{}, {"APPRENTICE_DEMO": "0"}, {"SPACE_ID": ""}, {"SYSTEM": "linux"}]
)
def test_at_home_everything_is_allowed(environment: dict[str, str]) -> None:
    policy = chosen(environment)
    assert policy is HOME
    for feature in Feature:
        policy.require(feature)
        assert policy.why_not(feature) == ""


@pytest.mark.parametrize("feature", Feature)
def test_what_a_demo_refuses_says_why_and_how_to_do_it_at_home(
    feature: Feature,
) -> None:
    with pytest.raises(NotInDemo) as refused:
        DEMO.require(feature)
    assert refused.value.what
    assert refused.value.why
    assert "your own computer" in refused.value.next
    assert "your own computer" in DEMO.why_not(feature)
