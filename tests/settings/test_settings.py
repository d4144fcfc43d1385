from pathlib import Path

import pytest
from pydantic import ValidationError

from watchkeeper.domain import ConfigurationError
from watchkeeper.settings import Settings, load_settings, secret


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("WATCHKEEPER_CONFIG", "WATCHKEEPER_MODE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "watchkeeper.yaml"


def refused(text: str, file: Path) -> str:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as told:
        load_settings(file)
    return str(told.value)


def test_without_a_file_every_change_waits_for_a_person() -> None:
    settings = load_settings()
    assert settings.mode == "approve"
    assert settings.server.host == "127.0.0.1"


def test_the_file_in_the_directory_is_read(file: Path) -> None:
    file.write_text("mode: observe\nwatch: {interval: 5}")
    settings = load_settings()
    assert (settings.mode, settings.watch.interval, settings.watch.timeout) == ("observe", 5.0, 3.0)


def test_an_empty_file_changes_nothing(file: Path) -> None:
    file.write_text("")
    assert load_settings(file) == Settings()


def test_what_is_wrong_in_the_environment_is_not_blamed_on_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("watch: {interval: 5}")
    monkeypatch.setenv("WATCHKEEPER_MODE", "atuo")
    with pytest.raises(ConfigurationError, match=r"^WATCHKEEPER_MODE in the environment: `mode`"):
        load_settings(file)


def test_the_environment_overrides_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("mode: auto\nwatch: {interval: 5, timeout: 1}")
    monkeypatch.setenv("WATCHKEEPER_MODE", "observe")
    monkeypatch.setenv("WATCHKEEPER_WATCH__INTERVAL", "7")
    settings = load_settings(file)
    assert (settings.mode, settings.watch.interval, settings.watch.timeout) == ("observe", 7.0, 1.0)


def test_what_is_said_on_the_command_line_overrides_both(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("mode: auto")
    monkeypatch.setenv("WATCHKEEPER_MODE", "auto")
    assert load_settings(file, mode="observe").mode == "observe"
    assert load_settings(file, mode=None).mode == "auto"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mod: auto", "`mod` (did you mean `mode`?)"),
        ("watch: {intervall: 3}", "`watch.intervall` (did you mean `interval`?)"),
        ("resources: [{nmae: x}]", "(did you mean `name`?)"),
        ("notify: {webhook: {ulr: x}}", "`notify.webhook.ulr` (did you mean `url`?)"),
        ("rules: {redis-full: {fro: 3s}}", "(did you mean `for`?)"),
        ("policy: {tabel: {}}", "`policy.tabel` (did you mean `table`?)"),
    ],
)
def test_an_unknown_key_names_the_nearest_right_one(text: str, said: str, file: Path) -> None:
    told = refused(text, file)
    assert said in told
    assert str(file) in told


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("mode: automatic", "mode"),
        ("watch: {interval: fast}", "watch.interval"),
        ("watch: {interval: 0}", "watch.interval"),
        ("server: {port: 70000}", "server.port"),
        ("policy: {table: {lab: {reversible: maybe}}}", "policy.table.lab.reversible"),
        ("policy: {table: {lab: {reversable: allow}}}", "policy.table.lab.reversable"),
        ("watch: 3", "watch"),
        ("resources: {}", "resources"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(text: str, key: str, file: Path) -> None:
    assert f"`{key}" in refused(text, file)


def test_everything_that_is_wrong_is_said_at_once(file: Path) -> None:
    told = refused("mod: auto\nserver: {port: no}", file)
    assert "`mod`" in told
    assert "`server.port`" in told


@pytest.mark.parametrize("text", ["- a", "3", "mode: [", "mode: auto\n  x: y\n z"])
def test_a_file_that_is_no_mapping_is_refused(text: str, file: Path) -> None:
    assert str(file) in refused(text, file)


def test_a_file_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"mode: \xff\xfe")
    with pytest.raises(ConfigurationError, match=r"watchkeeper\.yaml"):
        load_settings(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(tmp_path / "none.yaml")
    monkeypatch.setenv("WATCHKEEPER_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings()


@pytest.mark.parametrize("name", ["WATCHKEEPER_MODEE", "WATCHKEEPER_WACH__INTERVAL", "WATCHKEEPER_WATCH__INTERVALL"])
def test_a_misspelt_variable_is_an_error_that_names_the_nearest(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "3")
    with pytest.raises(ConfigurationError, match="did you mean"):
        load_settings()


@pytest.mark.parametrize("name", ["WATCHKEEPER_URL", "WATCHKEEPER_SERVICE_HOST", "WATCHKEEPER_PORT_8000_TCP"])
def test_a_variable_that_is_another_matter_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:8000")
    assert load_settings() == Settings()


SECRET = "hunter22"


@pytest.mark.parametrize(
    "said",
    [
        f"password: {SECRET}",
        f"url: 'redis://:{SECRET}@cache:6379'",
        f"url: 'redis://ada:{SECRET}@cache:6379/0'",
        f"settings: {{password: {SECRET}}}",
        f"settings: {{api_key: {SECRET}}}",
    ],
)
def test_a_credential_must_be_a_reference_and_is_not_shown(said: str, file: Path) -> None:
    told = refused(f"resources: [{{name: x, kind: redis, {said}}}]", file)
    assert "env:NAME or file:PATH" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    "said",
    ["password: env:PW", "url: 'redis://cache:6379/0'", "settings: {password: 'file:/run/pw', cache_keys: 'a:*'}"],
)
def test_a_reference_is_fine(said: str, file: Path) -> None:
    file.write_text(f"resources: [{{name: x, kind: redis, {said}}}]")
    assert len(load_settings(file).resources) == 1


def test_a_secret_comes_from_a_variable_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", SECRET)
    (tmp_path / "pw").write_text(f"{SECRET}\n")
    assert secret("env:PW") == SECRET
    assert secret(f"file:{tmp_path / 'pw'}") == SECRET


@pytest.mark.parametrize("reference", ["env:NOT_SET", "file:/none/at/all", SECRET, f"ftp:{SECRET}"])
def test_a_secret_that_cannot_be_had_is_told_without_showing_it(reference: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        secret(reference)
    assert SECRET not in str(told.value)


def test_cells_of_the_table_are_laid_over_the_default() -> None:
    merged = Settings(policy={"table": {"lab": {"destructive": "deny"}, "qa": {"read": "ask"}}}).policy.merged()
    assert merged["lab"] == {"read": "allow", "reversible": "allow", "disruptive": "allow", "destructive": "deny"}
    assert merged["qa"] == {"read": "ask", "reversible": "ask", "disruptive": "ask", "destructive": "deny"}


def test_a_password_for_the_store_is_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "p@ss/word")
    monkeypatch.setenv("DB_URL", "postgresql://ada:secret@db/watch")
    for said, url in (
        ("postgresql://ada@db:5433/watch", "postgresql://ada@db:5433/watch"),
        (
            "postgresql://ada@db/w?sslmode=require&password=env:DB_PASSWORD",
            "postgresql://ada:p%40ss%2Fword@db/w?sslmode=require",
        ),
        ("postgresql://ada:env:DB_PASSWORD@db/watch", "postgresql://ada:p%40ss%2Fword@db/watch"),
        ("env:DB_URL", "postgresql://ada:secret@db/watch"),
    ):
        assert Settings(store=said).database == url
    for wrong in ("postgresql://ada:secret@db/watch", "postgresql://ada@db/watch?password=secret", "mysql://db/watch"):
        with pytest.raises(ValidationError):
            Settings(store=wrong)
