"""How long training takes, as a range.

The time of a step is modeled as work over rate, plus traffic over bandwidth, plus a
fixed launch time per layer:

    seconds = 16-bit FLOPs / rate16 + 32-bit FLOPs / rate32 + bytes written * traffic /
    bandwidth + layers * launch

FLOPs per token: 2 per parameter in the forward pass and 2 for the gradient of its
input, 2 more for the gradient of trained weights, 2 more if checkpointing repeats the
forward pass (Kaplan et al., Scaling Laws, 2020, section 2.1), and 4 * length * width
per layer for attention scores. The bytes written come from the simulated step.

Fitted on the step times of the 49 runs on a Tesla T4 in
tests/data/measured_vram_t4.json (mean error 9%, worst 21%): 37% of the GPU's 16-bit
peak, 51% of its 32-bit peak, 2.6 bytes moved per byte written, 4.7 ms per layer. The T4
reaches so little of its peak because it is limited to 70 W. Other GPUs are assumed to
reach 60%, which the wide range reflects; a measurement on the machine replaces it.
"""

from pathlib import Path
from typing import Any, Literal

from backend.estimate import step
from backend.estimate.architecture import Architecture
from backend.estimate.memory import device_for, on_device
from backend.estimate.plan import Plan
from backend.files.json_file import read_json
from backend.records.base import Record
from backend.records.machine import Hardware, nvidia_gpu

_SHARE_T4, _SHARE_16, _SHARE_32, _TRAFFIC, _LAUNCH = 0.37, 0.6, 0.51, 2.6, 0.0047
_STARTUP = 20.0  # seconds: importing, loading the model, saving

# Published dense peaks, 16-bit products with fp32 accumulation: (TFLOP/s at 16 bits, at
# 32 bits, GB/s). Sources: NVIDIA's data sheets and the GA102, AD102 and GB202
# whitepapers (GeForce GPUs halve the rate for fp32 accumulation). The longest key that
# is part of the GPU's name applies.
_GPUS: dict[str, tuple[float, float, float]] = read_json(
    Path(__file__).with_name("gpus.json")
)


class Rates(Record):
    """A machine's speed: FLOP/s at 16 and 32 bits, bytes/s, seconds to launch a layer;
    spread: uncertainty factor. while_busy: other programs had part of the processor
    whenever it was measured, so it is probably higher.
    """

    rate16: float
    rate32: float
    bandwidth: float
    launch: float
    spread: float
    basis: Literal["measured", "computed"]
    while_busy: bool = False


class Time(Record):
    """Seconds to train on `tokens` tokens, as a range; `basis` says whether this
    machine's speed was measured.
    """

    tokens: float
    seconds: float
    low: float
    high: float
    tokens_per_second: float
    basis: Literal["measured", "computed"]

    def to_json(self) -> dict[str, Any]:
        """{"tokens", "seconds", "low", "high", "tokens_per_second", "basis"}."""
        return {
            name: round(value, 1) if isinstance(value, float) else value
            for name, value in self
        }


def published(hardware: Hardware) -> Rates | None:
    """The rates of the GPU by its data sheet; None if it is not in the table, or there
    is none.
    """
    gpu = nvidia_gpu(hardware)
    names = [
        name for name in _GPUS if gpu is not None and name.lower() in gpu.name.lower()
    ]
    if not names:
        return None
    name = max(names, key=len)
    peak16, peak32, bandwidth = _GPUS[name]
    return Rates(
        rate16=peak16 * 1e12 * (_SHARE_T4 if name == "T4" else _SHARE_16),
        rate32=peak32 * 1e12 * _SHARE_32,
        bandwidth=bandwidth * 1e9 / _TRAFFIC,
        launch=_LAUNCH,
        spread=1.25 if name == "T4" else 2.0,
        basis="computed",
    )


def step_seconds(architecture: Architecture, plan: Plan, rates: Rates) -> float:
    """Seconds of one micro batch, forward and backward."""
    flops16, flops32 = _flops(architecture, plan)
    written = step.written(architecture, plan)
    launch = architecture.num_layers * rates.launch
    return (
        flops16 / rates.rate16
        + flops32 / rates.rate32
        + written / rates.bandwidth
        + launch
    )


def _flops(architecture: Architecture, plan: Plan) -> tuple[float, float]:
    tokens = plan.tokens
    passes = 2 + (plan.method == "full") + plan.checkpointing
    linear = 2.0 * passes * architecture.linear_params * tokens
    learned = 1.0 if plan.full_logits else plan.learned_share
    head = 4.0 * architecture.vocab_size * architecture.hidden_size * tokens * learned
    width = architecture.num_attention_heads * architecture.head_dim
    scores = (
        4.0 * (passes + 1) * architecture.attending * width * plan.max_tokens * tokens
    )
    if plan.precision == "fp32":
        return 0.0, linear + head + scores
    if plan.method == "qlora" and plan.fp32_norms:
        return linear, head + scores
    return linear + head + scores, 0.0


def time(
    model: Architecture,
    plan: Plan,
    hardware: Hardware,
    tokens: float,
    rates: Rates | None,
) -> Time | None:
    """How long training takes; None where the speed is not known, and for models whose
    work is not modeled, such as gated delta nets.

    tokens: in total, over all epochs, without padding
    rates: measured on this machine (backend/hardware/benchmark.py); if None, those of
        the GPU's data sheet
    """
    device = device_for(hardware, plan)
    plan = on_device(plan, device)
    rates = rates or (published(hardware) if device == "cuda" else None)
    if rates is None or model.delta_heads or not model.is_modeled:
        return None
    return from_speed(
        plan.tokens / step_seconds(model, plan, rates),
        tokens,
        rates.spread,
        rates.basis,
    )


def from_speed(
    speed: float, tokens: float, spread: float, basis: Literal["measured", "computed"]
) -> Time:
    """The time for `tokens` at a speed (tokens a second) that may be off by the factor
    `spread` either way.
    """
    seconds = tokens / speed
    return Time(
        tokens=tokens,
        seconds=_STARTUP + seconds,
        low=_STARTUP / 2 + seconds / spread,
        high=_STARTUP * 1.5 + seconds * spread,
        tokens_per_second=speed,
        basis=basis,
    )
