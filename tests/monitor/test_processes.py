"""Fork, signals, the interpreter's end: nothing hangs, nothing is counted twice."""

import subprocess
import sys
from textwrap import dedent

PATIENCE = 120


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_each_forked_child_counts_its_own_and_nothing_twice() -> None:
    said = run(
        """
        import os
        from watchkeeper_monitor import Monitor
        m = Monitor("bot")
        for _ in range(5000): m.track("a")
        m.flush()
        m.track("a")                                    # waits while it forks
        pid = os.fork()
        for _ in range(7 if pid else 3): m.track("b")
        n = m.summary()
        if pid: os.waitpid(pid, 0)
        print("parent" if pid else "child", n.predictions, n.classes, flush=True)
        if not pid: os._exit(0)
        """
    )
    assert sorted(said.splitlines()) == ["child 3 {'b': 3}", "parent 5008 {'a': 5001, 'b': 7}"]


def test_a_signal_handler_may_track_while_tracking_is_under_way() -> None:
    said = run(
        """
        import signal
        from watchkeeper_monitor import Monitor
        m = Monitor("bot")
        came = 0
        def handler(*_):
            global came
            came += 1
            m.label(m.track("signal"), "signal")
            m.error("signal")
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        tracked = 0
        while came < 50:
            m.track("a", 0.5)
            tracked += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        n = m.summary()
        print(n.predictions == tracked + came, n.classes["signal"] == came, n.system.errors["signal"] == came)
        """
    )
    assert said == "True True True\n"


def test_the_interpreter_ends_with_rows_waiting_and_threads_tracking() -> None:
    said = run(
        """
        import atexit, threading
        from watchkeeper_monitor import Monitor
        m = Monitor("bot")
        atexit.register(lambda: m.track("after"))
        def forever():
            while True: m.track("a", 0.5)
        threading.Thread(target=forever, daemon=True).start()
        while m.track("b") < 20_000: pass
        print("done")
        """
    )
    assert said == "done\n"


def test_the_interpreter_ends_though_nobody_reads_its_log() -> None:
    code = """
        from watchkeeper_monitor import Log, Monitor
        m = Monitor("bot", log=Log(share=1))
        for _ in range(5000): m.track("a", 0.5)
        m.flush()
        """
    with subprocess.Popen([sys.executable, "-c", dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as made:
        assert made.wait(PATIENCE) == 0
        assert made.stderr is not None
        assert made.stderr.read() == b""


def test_importing_and_making_a_monitor_loads_no_numpy() -> None:
    said = run(
        """
        import sys
        from watchkeeper_monitor import Log, Monitor
        Monitor("bot")
        Monitor("bot", server="http://127.0.0.1:9", records=1.0, log=Log())
        print("numpy" in sys.modules)
        """
    )
    assert said == "False\n"


def test_watchkeeper_has_the_same_monitor_and_loads_it_when_asked() -> None:
    said = run(
        """
        import sys, watchkeeper
        before = "watchkeeper_monitor" in sys.modules
        import watchkeeper_monitor
        print(before, watchkeeper.Monitor is watchkeeper_monitor.Monitor)
        """
    )
    assert said == "False True\n"


def test_a_monitor_nobody_holds_ends_its_thread() -> None:
    said = run(
        """
        import gc, threading
        from watchkeeper_monitor import Monitor
        m = Monitor("bot")
        m.track("a")
        m.flush()
        thread = next(t for t in threading.enumerate() if t.name == "watchkeeper-bot")
        del m
        gc.collect()
        thread.join(30)
        print(thread.is_alive())
        """
    )
    assert said == "False\n"
