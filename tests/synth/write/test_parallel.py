import operator

import pytest

from fedn_lightning.errors import ConfigError
from fedn_synth.write.corpus import Report, run_all


def test_one_job_works_here_and_in_order() -> None:
    done: list[int] = []

    def work(task: int, report: Report) -> None:
        done.append(task)
        report(1)

    run_all(work, [3, 1, 2], title="Testing", total=3, jobs=1)
    assert done == [3, 1, 2]


def test_an_error_in_a_process_of_its_own_is_raised_here() -> None:
    # A function that worker processes can import, whatever imported this test; it fails since a text takes no queue.
    with pytest.raises(TypeError):
        run_all(operator.truediv, ["a", "b", "c"], title="Testing", total=3, jobs=2)


def test_no_job_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--jobs must be at least 1, got 0"):
        run_all(operator.add, [1], title="Testing", total=1, jobs=0)
