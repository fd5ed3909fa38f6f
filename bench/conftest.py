"""How interleaved rounds become rows of pytest-benchmark, and what its JSON keeps."""

from __future__ import annotations

from typing import Any

import environment
import goals
import pytest
from cases import Case, nbytes
from measured import Record, checked_value, measured
from pytest_benchmark.fixture import BenchmarkFixture

import mmhash


def pytest_configure(config: pytest.Config) -> None:
    config.stash[goals.OUTCOMES] = []
    mmhash.cache_resize(0)  # the rows are about hashing; the cache has rows of its own
    config.option.benchmark_columns = config.option.benchmark_columns or ["median", "iqr", "rounds"]


@pytest.fixture
def record(benchmark: BenchmarkFixture) -> Record:
    """Make the rounds of one peer the row of the test that calls this.

    pytest-benchmark can only time each test's rounds one after the other. So it makes one round of
    its own, which creates the row, and the interleaved rounds of the case then take its place.
    With --benchmark-disable the peers are called and compared, and nothing is timed.
    """

    def record_rounds(case: Case, name: str) -> None:
        peer, value = case.peers[name], checked_value(case)
        argument = peer.argument(value)
        if benchmark.disabled:
            benchmark.pedantic(peer.call, (argument,))
            return
        found = measured(case)
        rounds = found.rounds[name]
        benchmark.group = benchmark.group or case.name
        benchmark.pedantic(peer.call, (argument,), iterations=rounds.batch)
        benchmark.stats.stats.data.clear()
        for seconds in rounds.seconds:
            benchmark.stats.update(seconds * rounds.batch)
        benchmark.extra_info |= {
            "case": case.name,
            "peer": name,
            "bytes": nbytes(value),
            "threads": peer.threads,
            "ratio": found.ratio(name)._asdict(),  # to mmhash.identity on one thread
        }

    return record_rounds


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    described = environment.describe(machine_info["cpu"])
    machine_info.clear()
    machine_info.update(described)


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    """Keep which commit it was and drop who made it when, and where."""
    for key in commit_info.keys() - {"id", "dirty"}:
        del commit_info[key]


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Keep quartiles and ratios, rounded to what they are worth: a file that can be committed.

    The single rounds go, which would be a megabyte, and pytest-benchmark's options, which say how
    it would have timed.
    """
    for row in output_json["benchmarks"]:
        del row["options"], row["stats"]["data"]
        row["stats"] = rounded(row["stats"])
        row["extra_info"] = rounded(row["extra_info"])


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.stash[goals.OUTCOMES]:
        return
    terminalreporter.section("goals")
    for outcome in config.stash[goals.OUTCOMES]:
        colour = {"green": True} if outcome["met"] else {"red": True, "bold": True}
        terminalreporter.line(goals.describe(outcome), **colour)
