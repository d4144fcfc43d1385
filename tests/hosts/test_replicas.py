"""What one more container like this one would be, and why there sometimes cannot be one; read from `inspect` alone."""

from typing import Any

import pytest

from watchkeeper.hosts.replicas import MADE, NUMBER, PROJECT, SERVICE, SHARED, obstacle, recipe

ID = "0123456789ab" + "f" * 52


def shown(**changes: Any) -> dict[str, Any]:
    """What the engine says of the second replica of the service `api`; `changes` by dotted path."""
    labels = {PROJECT: "site", SERVICE: "api", NUMBER: "2", "watchkeeper.act": "true", "watchkeeper.name": "mine"}
    said: dict[str, Any] = {
        "Id": ID,
        "Name": "/site_api_2",
        "Image": "sha256:1",
        "Config": {"Hostname": ID[:12], "Image": "api:1", "Env": ["A=b"], "Cmd": ["serve"], "Labels": labels},
        "HostConfig": {
            "NetworkMode": "site_front",
            "Memory": 1 << 28,
            "PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
            "Binds": ["/etc/api:/etc/api:ro"],
        },
        "Mounts": [{"Type": "bind", "Source": "/etc/api", "Destination": "/etc/api", "RW": False}],
        "NetworkSettings": {
            "Networks": {
                "site_back": {"Aliases": ["api", ID[:12]], "IPAddress": "10.0.0.2"},
                "site_front": {"Aliases": ["api", "www", ID[:12], "site_api_2"], "IPAMConfig": {}},
            }
        },
    }
    for path, value in changes.items():
        *way, last = path.split("__")
        of = said
        for key in way:
            of = of[key]
        of[last] = value
    return said


def test_one_more_is_the_same_but_for_name_number_and_host_ports() -> None:
    name, body, besides = recipe(shown(), 3)
    assert name == "site_api_3"
    assert body["Labels"] == {
        PROJECT: "site",
        SERVICE: "api",
        NUMBER: "3",
        "watchkeeper.act": "true",
        MADE: "site_api_2",
    }
    assert (body["Env"], body["Cmd"], body["HostConfig"]["Memory"]) == (["A=b"], ["serve"], 1 << 28)
    assert body["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"site_front": {"Aliases": ["api", "www", "site_api_3"]}}}
    assert besides == {"site_back": {"Aliases": ["api", "site_api_3"]}}
    assert "Hostname" not in body


def test_what_was_there_is_left_as_it_was() -> None:
    before = shown()
    recipe(before, 3)
    assert before == shown()


def test_a_new_compose_writes_dashes_and_a_hostname_of_its_own_is_kept() -> None:
    name, body, _ = recipe(shown(Name="/site-api-2", Config__Hostname="api"), 7)
    assert (name, body["Hostname"]) == ("site-api-7", "api")


DATA = {"Type": "volume", "Name": "site_data", "Destination": "/data", "RW": True}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Config__Labels": {}}, "no compose service"),
        (
            {"Config__Labels": {PROJECT: "site", SERVICE: "api", "com.docker.compose.oneoff": "True"}},
            "no compose service",
        ),
        ({"Name": "/my-api"}, "container_name"),
        ({"HostConfig__NetworkMode": "host"}, "host's network"),
        ({"HostConfig__NetworkMode": "container:abc"}, "another container's network"),
        ({"NetworkSettings__Networks__site_back__IPAMConfig": {"IPv4Address": "10.0.0.2"}}, "fixed"),
        ({"Mounts": [DATA]}, "It writes to /data (volume site_data)"),
        ({"Mounts": [{**DATA, "Type": "bind", "Name": None, "Source": "/srv"}]}, "(bind /srv)"),
    ],
)
def test_there_is_none_where_two_would_be_in_each_others_way(changes: dict[str, Any], why: str) -> None:
    assert why in (obstacle(shown(**changes)) or "")


@pytest.mark.parametrize("mount", [{**DATA, "RW": False}, {**DATA, "Type": "tmpfs"}])
def test_what_nobody_writes_to_or_nobody_keeps_is_no_obstacle(mount: dict[str, Any]) -> None:
    assert obstacle(shown(Mounts=[mount])) is None


def test_the_operator_may_say_that_a_path_may_be_shared() -> None:
    assert obstacle(shown()) is None
    labels = {**shown()["Config"]["Labels"], SHARED: "/tmp, /data"}
    assert obstacle(shown(Mounts=[DATA], Config__Labels=labels)) is None
    assert obstacle(shown(Mounts=[{**DATA, "Destination": "/other"}], Config__Labels=labels))
