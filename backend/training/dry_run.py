"""`python -m backend.training.dry_run RUN_FOLDER`: measures the memory and time of a
few steps; saves nothing.

The steps run through the same code as training: a short row to warm up, the longest
rows (after the optimizer has its state, so that memory is at its peak), and rows of
usual length until there is enough to time. Then it saves a checkpoint, evaluates one
batch, computes one batch of reference log-probabilities for DPO, and answers the sample
prompts. job.py starts it in a process of its own.
"""

import json
import logging
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from backend.errors import ApprenticeError, NotEnough
from backend.hardware.process import prepare_process
from backend.records.events import Event
from backend.records.specs import RunSpec
from backend.records.units import MIB, format_size
from backend.runs.token_rows import TokenRow, TokenRows, read_rows, sides, truncate
from backend.training import dpo, oom
from backend.training.dry_run_session import FOLDER, DryRun
from backend.training.run import set_up, verification_rows
from backend.training.samples import NEW_TOKENS, sample_answers
from backend.training.state import checkpoints, verify
from backend.training.state import save as saved_state

ORDER, OUTCOME = "order.json", "outcome.json"
CHECKPOINTS = "checkpoints"  # in FOLDER, while saving is timed
_SAMPLED_TOKENS = 16  # of the NEW_TOKENS of an answer
_NO_SAMPLES_AFTER = 20.0  # seconds of steps and evaluation


@dataclass
class SilentWork:
    """The context of a process that reports nothing and is stopped by the one that
    started it. progress: called in place of a report.
    """

    folder: Path
    spec: dict[str, Any]
    short_of_memory: bool = False
    progress: Callable[..., None] = lambda *_, **__: None

    def emit(self, event: Event) -> None: ...
    def alive(self) -> None: ...
    def should_stop(self) -> bool:
        return False


def run_steps(
    folder: Path,
    spec: RunSpec,
    began: float,
    limit_mib: float = math.inf,
    on_processor: bool = True,
) -> dict[str, Any]:
    """The fields of `backend.training.measured.Measured` for the run in `folder`.
    Raises NotEnough for too low a limit.

    spec: of the run, with the settings to measure
    began: when the process started, in seconds since 1970; the startup is counted from
        then
    limit_mib: the memory that may be used, of the GPU or of this process
    on_processor: whether the limit is for the memory of this process
    """
    if on_processor and math.isfinite(limit_mib):
        _limit_memory(limit_mib)
    (folder / FOLDER).mkdir(exist_ok=True)
    whole = read_rows(folder)
    train, validation = (
        TokenRows.of(truncate(rows, spec.settings.max_length)) for rows in whole
    )
    if not train and any(row.learned for row in whole[0]):
        raise NotEnough(
            "There is not enough memory.",
            f"At {spec.settings.max_length} tokens no answer is left.",
        )
    context = SilentWork(folder, spec.model_dump(mode="json"))
    dry_run, engine, net = set_up(
        context, spec, train, validation, session_of=DryRun, oom_retries=0
    )
    assert isinstance(dry_run, DryRun)
    # part of the startup time and memory
    fingerprinting = _seconds(dry_run, lambda: verify.fingerprint(net, spec.model.path))
    startup = time.time() - began
    engine.train()
    speed = dry_run.seconds_per_token()
    saving = _saving_seconds(dry_run, engine)
    longest = sorted(dry_run.validation or dry_run.train, key=lambda row: -row.longest)[
        : dry_run.train_step.micro
    ]
    test_speed = _seconds(
        dry_run, lambda: dry_run.train_step.mean_loss(net, longest)
    ) / _tokens(longest)
    reference = _reference_seconds(dry_run, net)
    wanted = (
        time.time() - began - startup - saving < _NO_SAMPLES_AFTER
        and spec.data.held_out_prompts
    )
    sampling = _sample_seconds(dry_run, net) if wanted else 0.0
    peak = dry_run.device.peak_memory_mib()
    if peak > limit_mib:
        raise NotEnough(
            "There is not enough memory.", f"{format_size(peak)} was used at the peak."
        )
    return {
        "memory_mib": peak,
        "startup": startup,
        "seconds_per_step": speed
        * _tokens(dry_run.train)
        * spec.settings.effective_batch
        / len(dry_run.train),
        "tokens_per_second": 1 / speed,
        "evaluation_seconds": test_speed * _tokens(dry_run.validation),
        "sample_seconds": sampling,
        "reference_seconds": reference,
        "save_seconds": saving,
        "verification_seconds": fingerprinting
        + 2 * test_speed * _tokens(verification_rows(train, validation)),
    }


def _seconds(dry_run: DryRun, work: Callable[[], object]) -> float:
    dry_run.device.wait()
    start = time.perf_counter()
    work()
    dry_run.device.wait()
    return time.perf_counter() - start


def _saving_seconds(dry_run: DryRun, engine: Any) -> float:
    """Seconds to write one checkpoint, which is then deleted. With all weights trained
    it is six times the model's size.
    """
    place = dry_run.work.folder / FOLDER / CHECKPOINTS

    def save() -> None:
        with checkpoints.writing(place, 0) as folder:
            saved_state.write(folder, engine, dry_run.metrics)

    seconds = _seconds(dry_run, save)
    shutil.rmtree(
        place, ignore_errors=True
    )  # the job deletes what another program still holds
    return seconds


def _sample_seconds(dry_run: DryRun, net: Any) -> float:
    """Seconds to answer the sample prompts once with NEW_TOKENS tokens each,
    extrapolated from fewer tokens; the time for the first one includes reading the
    prompts.
    """

    def answer(tokens: int) -> float:
        parts = net, dry_run.tokenizer, dry_run.device, dry_run.spec.data
        return _seconds(dry_run, lambda: sample_answers(*parts, new_tokens=tokens))

    first, more = answer(1), answer(_SAMPLED_TOKENS)
    return first + max(0.0, more - first) * (NEW_TOKENS - 1) / (_SAMPLED_TOKENS - 1)


def _reference_seconds(dry_run: DryRun, net: Any) -> float:
    """Seconds to compute DPO's reference log-probabilities for all pairs, measured on
    one batch of usual length; 0 without DPO.
    """
    if dry_run.spec.settings.trainer != "dpo":
        return 0.0
    rows = sorted([*dry_run.train, *dry_run.validation], key=lambda row: -row.longest)
    usual = rows[len(rows) // 2 :][: dry_run.train_step.micro]
    with dpo.reference_model(net):
        seconds = _seconds(
            dry_run, lambda: dry_run.train_step.answer_logprobs(net, usual)
        )
    return seconds * _tokens(rows) / _tokens(usual)


def _tokens(rows: Sequence[TokenRow]) -> int:
    return sum(row.tokens for row in sides(rows))


def _limit_memory(mib: float) -> None:
    """Makes Linux fail allocations beyond `mib`, instead of killing some process when
    all memory is used.
    """
    if sys.platform != "linux":
        return
    import resource

    status = dict(
        line.split(":", 1)
        for line in Path("/proc/self/status").read_text("utf-8").splitlines()
    )
    data, resident = (
        int(status[name].split()[0]) * 1024 for name in ("VmData", "VmRSS")
    )
    limit = max(0, data + int(mib * MIB) - resident)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if most < 0 else min(limit, most), most)
    )


def main(folder: Path) -> None:
    """Runs the steps for `folder`/dry_run/order.json and writes their outcome to
    outcome.json next to it.
    """
    began = psutil.Process().create_time()
    place = folder / FOLDER
    order = json.loads((place / ORDER).read_text("utf-8"))
    spec = RunSpec.model_validate(order["spec"])
    try:
        with oom.memory_errors():
            outcome = {
                "fits": True,
                **run_steps(
                    folder, spec, began, order["limit_mib"], order["on_processor"]
                ),
            }
    except NotEnough:
        outcome = {"fits": False}
    except ApprenticeError as error:
        outcome = {"fits": None, **error.to_dict()}
    (place / OUTCOME).write_text(json.dumps(outcome), "utf-8")


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    prepare_process()
    main(Path(sys.argv[1]))
