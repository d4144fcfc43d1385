"""Tokens on the command line: made once, used by the environment, taken back."""

import pytest

from tests.cli.conftest import Run, Shop


def test_a_token_is_made_used_listed_and_revoked(shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run(*shop.where, "token", "new", "--name", "ada", "--role", "viewer", "--expires", "30d").out.splitlines()
    key, shown = made[0].split(":")[0], made[1]
    monkeypatch.setenv("WATCHKEEPER_TOKEN", shown)
    looked, paused = run(*shop.where, "status"), run(*shop.where, "pause")
    monkeypatch.delenv("WATCHKEEPER_TOKEN")
    (listed,) = [t for t in run(*shop.where, "token", "list", "--json").json["items"] if t["id"] == key]
    assert run(*shop.where, "token", "revoke", key).code == 0
    monkeypatch.setenv("WATCHKEEPER_TOKEN", shown)
    after = run(*shop.where, "status")

    assert looked.code == 0
    assert paused.code == 2
    assert "ada has the role viewer; this takes operator, approver or admin." in paused.err
    assert listed["used_at"] is not None
    assert after.code == 2
    assert "The token is not known, or holds no more." in after.err


@pytest.mark.parametrize("arguments", [(), ("--role", "admin", "--agent")])
def test_a_token_without_a_role_or_with_two_is_none(arguments: tuple[str, ...], run: Run) -> None:
    said = run("token", "new", "--name", "ada", *arguments)
    assert said.code == 2
    assert "Say a role, or --agent." in said.err
