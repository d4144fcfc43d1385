import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.domain.making import CACHE, T0, after, alert, fix, incident, plan, reading, resource, step
from watchkeeper.domain import (
    LOOP,
    Alert,
    Approval,
    Decision,
    Diagnosis,
    Event,
    Evidence,
    Fix,
    Incident,
    LogLine,
    StepRecord,
    Verdict,
)
from watchkeeper.store import Masker, Store

SECRET = 's3cr3t-Zwölf"quote'
MASK = "•••"


def learnt(*secrets: str) -> Masker:
    masker = Masker()
    masker.learn(*secrets)
    return masker


def test_a_known_secret_is_masked_wherever_it_stands() -> None:
    assert learnt("hunter22").text("a hunter22b hunter22") == f"a {MASK}b {MASK}"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert learnt("hunter", "hunter22").text("hunter22") == MASK


def test_a_password_in_a_url_is_masked_though_nobody_told_of_it() -> None:
    assert Masker().text("redis://ada:pw@cache:6379/0") == f"redis://ada:{MASK}@cache:6379/0"


def test_values_in_the_environment_are_secret_by_their_names() -> None:
    masker = Masker()
    masker.learn_environment(
        {"DB_PASSWORD": "tulip-9", "API_KEY": "rose-99", "URL": "amqp://u:lily-7@q", "MODE": "production"}
    )
    assert masker.text("tulip-9 rose-99 lily-7 production") == f"{MASK} {MASK} {MASK} production"


def test_where_a_secret_is_kept_is_none_but_what_stands_in_such_a_variable_instead_of_a_path_is() -> None:
    masker = Masker()
    masker.learn_environment({"DB_PASSWORD_FILE": "/run/secrets/db", "API_KEY_FILE": "rose-99", "TOKEN": "/tulip/9"})
    assert masker.text("/run/secrets/db rose-99 /tulip/9") == f"/run/secrets/db {MASK} {MASK}"


def test_what_is_too_short_to_be_told_from_text_is_left() -> None:
    assert learnt("abc").text("abc") == "abc"


@pytest.mark.parametrize("value", [{"a": ["x hunter22", ("hunter22",)]}, {"hunter22": 1}, ["hunter22"], "hunter22"])
def test_secrets_are_masked_at_any_depth_and_in_keys(value: object) -> None:
    assert "hunter22" not in str(learnt("hunter22").value(value))


def test_what_is_no_text_is_left_as_it_is() -> None:
    assert learnt("hunter22").value({"n": 1, "f": 1.5, "b": True, "none": None}) == {
        "n": 1,
        "f": 1.5,
        "b": True,
        "none": None,
    }


def everything(said: str) -> list[Incident | Alert | Fix | Approval]:
    """Values with a text in every field that holds words."""
    diagnosis = Diagnosis(CACHE.id, said, said, (Evidence(CACHE.id, T0, said),), (said,), None, "runbook:x")
    told = plan(replace(step(value=said, deep={"list": [said], said: 1}), why=said, by_hand=said), diagnosis=diagnosis)
    before = replace(reading(), facts={"f": said, said: "x"}, state=said, error=said)
    record = StepRecord(0, "grow", CACHE.id, {"value": said}, "failed", {"was": said}, [said], {said: said}, said)
    verdict = Verdict("not_healed", (said,), before, (before,))
    return [
        incident(title=said, reason=said, diagnosis=diagnosis),
        alert(why=said),
        fix(told, before={CACHE.id: before}, steps=(record,), undo=(record,), verdict=verdict),
        Approval("apr-1", None, "fix-1", told, Decision("ask", "p", said), "d", LOOP, T0, after(9), note=said),
    ]


async def fill(store: Store, said: str) -> None:
    for value in everything(said):
        await store.save(value, Event("k", value.id, said, T0, data={"x": [said], said: said}))
    async with store.transaction() as transaction:
        await transaction.put_resource(resource(labels={"note": said, said: "x"}, settings={"deep": {"er": said}}))
        await transaction.keep_readings([replace(reading(), facts={"f": said}, state=said, error=said)])
        await transaction.keep_logs([LogLine(T0, "ERROR", f"AUTH {said} failed", CACHE.id)])
        await transaction.set("paused", {"by": said})


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("secret", ["hunter2-hunter2", SECRET])
async def test_a_secret_never_reaches_the_file(tmp_path: Path, secret: str) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'watchkeeper.db'}"
    async with Store.open(url, learnt(secret)) as store:
        await fill(store, f"before {secret} after")
    written = on_disk(tmp_path)
    assert b"before" in written
    for form in (secret.encode(), json.dumps(secret)[1:-1].encode()):
        assert form not in written


async def test_whoever_listens_hears_no_secret(tmp_path: Path) -> None:
    heard: list[Event] = []
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}", learnt("hunter22")) as store:
        store.listen(heard.append)
        await store.emit(Event("k", "s", "AUTH hunter22", T0, data={"by_hand": ["redis-cli -a hunter22"]}))
    assert len(heard) == 1
    assert "hunter22" not in repr(heard)


@pytest.mark.parametrize("word", ["redis", "lab", "docker", "cache", "open", "healed", "loop", "firing", "critical"])
async def test_a_secret_that_is_a_common_word_breaks_no_name(tmp_path: Path, word: str) -> None:
    """A password like `redis` must not turn ids, rules and states into something that is not found again."""
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}", learnt(word)) as store:
        for value in everything("nothing to hide"):
            await store.save(value, Event(f"{word}.k", value.id, "text", T0, resource=CACHE.id))
            assert await store.get(type(value), value.id) == value
        async with store.transaction() as transaction:
            await transaction.put_resource(CACHE)
            await transaction.keep_readings([reading(used=0.5)])
        assert await store.resources() == [CACHE]
        assert await store.readings(CACHE.id, since=T0, until=T0) == [reading(used=0.5)]
        assert {known.resource for known in await store.events()} == {CACHE.id}


def test_it_tells_whether_it_would_hide_anything() -> None:
    masker = learnt("hunter22")
    assert masker.hides({"pattern": ["hunter22:*"]})
    assert not masker.hides({"pattern": ["cache:*"], "count": 3, "path": Path("/x")})


def test_a_password_that_is_the_name_of_the_thing_itself_is_no_secret() -> None:
    masker = Masker()
    masker.learn_environment({"POSTGRES_PASSWORD": "postgres", "TOKEN": "tulip-9"}, names=("postgres", "shop-db-1"))
    assert masker.text("postgres is down, tulip-9") == f"postgres is down, {MASK}"
