"""What connections tell of the way to a server: loss is told from what only looked lost, stuck from quiet."""

from dataclasses import replace

from watchkeeper.hosts.flows import ESTABLISHED, LISTEN, SYN_SENT, Flow
from watchkeeper.hosts.links import FarEnds, Link, Links

SERVER = ("10.0.0.2", 5432)
CLIENT = ("10.0.0.3", 40000)
USED = Flow(CLIENT, SERVER, ESTABLISHED, inode=7, cookie=1, sent=100, rtt=0.0004, least_rtt=0.0002)


class Seen:
    """Looks at one client, a second apart."""

    def __init__(self) -> None:
        self.far = FarEnds()
        self.links = Links("client", self.far)
        self.at = 100.0

    def look(self, *flows: Flow) -> Link | None:
        self.at += 1.0
        self.links.update(flows, self.at, mine=None, ours=())
        return self.links.links.get(SERVER)


def test_what_was_sent_again_before_the_first_look_is_no_loss_of_now() -> None:
    seen = Seen()
    link = seen.look(replace(USED, again=50))
    assert link is not None
    assert link.loss == 0.0


def test_segments_sent_again_are_loss_and_a_pause_ends_it() -> None:
    seen = Seen()
    seen.look(USED)
    link = seen.look(replace(USED, sent=140, again=10))
    assert link is not None
    assert link.loss == 10 / 40
    for sent in (150, 160, 170, 180):
        seen.look(replace(USED, sent=sent, again=10))
    assert link.loss == 0.0
    assert not seen.links.uneasy


def test_a_few_segments_sent_again_say_nothing() -> None:
    seen = Seen()
    seen.look(USED)
    link = seen.look(replace(USED, sent=110, again=4))
    assert link is not None
    assert link.loss == 0.0


def test_what_the_far_end_says_it_had_already_is_taken_back() -> None:
    seen = Seen()
    seen.look(USED)
    link = seen.look(replace(USED, sent=140, again=10))
    seen.look(replace(USED, sent=150, again=0))
    assert link is not None
    assert link.loss == 0.0


def test_a_server_that_is_no_more_loses_no_packets() -> None:
    seen = Seen()
    seen.look(USED)
    silence = 0.5
    for number in range(1, 6):
        silence += 1.0
        dead = replace(USED, sent=100 + 4 * number, again=4 * number, heard=silence, retries=number)
        opening = Flow(
            ("10.0.0.3", 41000 + number), SERVER, SYN_SENT, inode=8, cookie=10 + number, sent=3, again=2, retries=2
        )
        link = seen.look(dead, opening)
        assert link is not None
        assert link.loss == 0.0


def test_loss_that_only_the_servers_end_sees_is_the_clients_way_to_it() -> None:
    seen = Seen()
    server = Links("server", seen.far)
    listens = Flow(("0.0.0.0", 5432), ("0.0.0.0", 0), LISTEN, inode=1)
    answers = Flow(SERVER, CLIENT, ESTABLISHED, inode=2, cookie=9, sent=500)
    server.update([listens, answers], seen.at, mine=None, ours=())
    seen.look(USED)
    server.update([listens, replace(answers, sent=560, again=20)], seen.at, mine=None, ours=())
    link = seen.look(replace(USED, sent=140))
    assert link is not None
    assert link.loss == 20 / 100
    assert server.links == {}, "its clients are none of a server's ways"


def test_a_request_to_connect_without_an_answer_is_stuck_and_an_idle_connection_is_not() -> None:
    seen = Seen()
    idle = replace(USED, heard=3600.0, active=3600.0)
    link = seen.look(idle)
    assert link is not None
    assert link.silent_for(seen.at) == 0.0
    opening = Flow(("10.0.0.3", 40001), SERVER, SYN_SENT, inode=8, cookie=2, sent=2, again=1, retries=1)
    for _ in range(3):
        seen.look(idle, opening)
    assert link.silent_for(seen.at) == 2.0


def test_what_still_gets_answers_is_not_silent_however_much_waits() -> None:
    seen = Seen()
    waits = replace(USED, retries=4, waiting=3, heard=9.0)
    link = seen.look(USED, waits)
    seen.look(USED, waits)
    assert link is not None
    assert link.stuck == 1
    assert link.silent_for(seen.at) == 0.0


def test_ones_own_loopback_our_own_sockets_and_others_in_the_namespace_are_none_of_its_ways() -> None:
    links = Links("shared", FarEnds())
    inside = replace(USED, remote=("127.0.0.1", 6379))
    ours, others = replace(USED, inode=70), replace(USED, inode=71, cookie=3)
    links.update([inside, ours, others], 100.0, mine={7, 70}, ours={70})
    assert links.links == {}
