"""A decoder model on a `Tape`: the forward pass up to the loss, as in transformers and
peft.

Sources: transformers 5 `modeling_llama.py` (other models differ in norms and caps only)
    and `loss_utils.py`;
peft 0.19 to 0.21 `tuners/lora/layer.py` and `bnb.py`: adapters are fp32, and each
target saves an fp32 copy of its input.
"""

from functools import partial

from backend.estimate import attention, delta
from backend.estimate import operations as ops
from backend.estimate.architecture import Architecture
from backend.estimate.operations import (
    FLOAT,
    Weight,
    linear,
    linear_adapted,
    linear_widened,
)
from backend.estimate.plan import Plan
from backend.estimate.tape import Meter, Tape, Tensor
from backend.estimate.weights import Layer, Weights


class Decoder:
    """A model in simulated memory."""

    def __init__(
        self, architecture: Architecture, plan: Plan, meter: Meter, loss_values: int
    ) -> None:
        """loss_values: logits that the loss casts to fp32 at a time."""
        self.shape, self.plan, self.meter, self.loss_values = (
            architecture,
            plan,
            meter,
            loss_values,
        )
        self.tape = Tape(meter)
        self.weights = Weights(architecture, plan, self.tape)

    def forward(self) -> tuple[Tensor, list[Tensor]]:
        """A forward pass: the loss, and the tensors that the caller keeps alive until
        the end of the step.
        """
        tape, plan = self.tape, self.plan
        with self.meter.purpose("activations"):
            hidden = self._embed()
            mask = None
            if plan.attention == "eager":
                square = plan.max_tokens**2
                allowed = tape.new(square, 1)
                mask = tape.new(square, self.weights.rest)
                del allowed
            for layer in self.weights.layers:
                block = partial(self._block, layer, mask)
                hidden = (
                    tape.checkpoint(block, hidden)
                    if plan.checkpointing
                    else block(hidden)
                )
            del mask
            hidden = ops.norm(
                tape, hidden, self.weights.final_norm, self.shape.has_wide_norms
            )
        with self.meter.purpose("logits and loss"):
            return self._loss(hidden)

    def _embed(self) -> Tensor:
        plan, tape = self.plan, self.tape
        # What the blocks of a Gemma add up stays in fp32 where the rest is fp16
        # (backend/training/model.py).
        wide = plan.precision == "fp16" and "gemma" in self.shape.name.lower()
        hidden = tape.new(
            plan.tokens * self.shape.hidden_size, FLOAT if wide else self.weights.rest
        )
        if plan.method != "full":
            return tape.leaf(hidden)  # as enable_input_require_grads does
        table = self.weights.embedding
        return tape.record(
            hidden,
            [table.tensor],
            [None],
            lambda g: [tape.new(table.count, table.width)],
        )

    def _block(self, layer: Layer, mask: Tensor | None, hidden: Tensor) -> Tensor:
        tape, wide = self.tape, self.shape.has_wide_norms
        before, after = (
            not self.shape.post_norm,
            self.shape.post_norm or self.shape.layer_norms == 4,
        )
        residual = hidden
        if before:
            hidden = ops.norm(tape, hidden, layer.norm, wide)
        if layer.convolution is None:
            hidden, _scores = self._attention(layer, hidden)
        elif self.shape.delta_heads:
            hidden = self._delta(layer, hidden, layer.convolution)
        else:
            mixed = ops.copy(
                tape,
                ops.convolve(
                    tape, self._project(layer, "in_proj", hidden), layer.convolution
                ),
            )
            hidden = self._project(layer, "out_proj", mixed)
            del mixed
        if after:
            hidden = ops.norm(tape, hidden, layer.norm, wide)
        hidden = ops.add(tape, residual, hidden)
        residual = hidden
        if before:
            hidden = ops.norm(tape, hidden, layer.norm, wide)
        hidden = self._mlp(layer, hidden)
        if after:
            hidden = ops.norm(tape, hidden, layer.norm, wide)
        return ops.add(tape, residual, hidden)

    def _attention(self, layer: Layer, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        shape, plan, tape = self.shape, self.plan, self.tape
        groups = shape.num_attention_heads // shape.num_kv_heads
        eager, flash = plan.attention == "eager", plan.attention == "flash_attention_2"
        apart = eager or (groups > 1 and not flash)
        q = self._project(layer, "q_proj", hidden)
        gate: Tensor | None = None
        if shape.delta_heads:
            gate = ops.copy(tape, ops.part(tape, q, 2, whole=False))
            q = ops.part(tape, q, 2, whole=True)
        q = ops.view(tape, q, eager)
        k = ops.view(tape, self._project(layer, "k_proj", hidden), apart)
        v = ops.view(tape, self._project(layer, "v_proj", hidden), apart)
        if shape.has_qk_norm:
            q, k = (ops.norm(tape, x, layer.norm, shape.has_wide_norms) for x in (q, k))
        q, k = ops.rotate(tape, q), ops.rotate(tape, k)
        scores: Tensor | None = None
        if eager:
            count = plan.batch * shape.num_attention_heads * plan.max_tokens**2
            out, scores = attention.eager(tape, q, k, v, groups, plan.batch, count)
        else:
            out = attention.fused(tape, q, k, v, groups, flash)
        if gate is not None:
            out = ops.multiply(tape, out, ops.sigmoid(tape, gate))
        return self._project(
            layer, "o_proj" if "o_proj" in layer.weights else "out_proj", out
        ), scores

    def _delta(self, layer: Layer, x: Tensor, weight: Weight) -> Tensor:
        tape = self.tape
        mixed, gate = (
            self._project(layer, "in_proj_qkv", x),
            self._project(layer, "in_proj_z", x),
        )
        mixed = ops.activate(tape, delta.convolve(tape, mixed, weight))
        out = delta.gate(
            tape, delta.rule(tape, self.shape, self.plan, mixed), gate, layer.norm
        )
        return self._project(layer, "out_proj", out)

    def _mlp(self, layer: Layer, x: Tensor) -> Tensor:
        tape = self.tape
        if "gate_proj" not in layer.weights:
            return self._project(
                layer,
                "down_proj",
                ops.activate(tape, self._project(layer, "up_proj", x)),
            )
        project = partial(self._project, layer)
        return project(
            "down_proj",
            ops.multiply(
                tape, ops.activate(tape, project("gate_proj", x)), project("up_proj", x)
            ),
        )

    def _project(self, layer: Layer, name: str, x: Tensor) -> Tensor:
        tape, plan, weight = self.tape, self.plan, layer.weights[name]
        if plan.widened:
            return linear_widened(tape, x, weight, plan.width)
        if name not in layer.adapters:
            return linear(tape, x, weight)
        first, second = layer.adapters[name]
        if plan.full_logits:
            return self._adapted_plainly(x, weight, first, second)
        if plan.method == "lora":
            return linear_adapted(tape, x, weight, first, second)
        result = ops.copy(tape, linear(tape, x, weight))
        return ops.add(
            tape, result, ops.scale(tape, linear(tape, linear(tape, x, first), second))
        )

    def _adapted_plainly(
        self, x: Tensor, weight: Weight, first: Weight, second: Weight
    ) -> Tensor:
        tape = self.tape
        result = linear(tape, x, weight)
        given = result.width
        if weight.packed:
            result = ops.copy(tape, result)
        x = ops.cast(tape, x, FLOAT)
        learned = ops.scale(tape, linear(tape, linear(tape, x, first), second))
        if weight.packed:
            return ops.add(tape, result, ops.cast(tape, learned, given))
        result = ops.add(tape, result, learned)
        del learned
        return ops.cast(tape, result, given)

    def _loss(self, hidden: Tensor) -> tuple[Tensor, list[Tensor]]:
        tape, plan, head = self.tape, self.plan, self.weights.head
        if not plan.full_logits:  # only where something is learned
            whole, rows = hidden.count, max(1, round(plan.tokens * plan.learned_share))
            out = tape.new(rows * self.shape.hidden_size, hidden.width)
            hidden = tape.record(
                out, [hidden], [None], lambda g: [tape.new(whole, g.width)]
            )
            del out
        logits = (
            linear_widened(tape, hidden, head, plan.width)
            if plan.widened
            else linear(tape, hidden, head)
        )
        if self.shape.caps_logits:
            logits = ops.scale(tape, ops.activate(tape, ops.scale(tape, logits)))
        if not plan.full_logits:
            return self._cross_entropy_in_parts(logits), []
        kept = [logits]
        wide = ops.cast(tape, logits, FLOAT)
        del logits
        count = wide.count
        out = tape.new(count, FLOAT)
        likely = tape.record(out, [wide], [out], lambda g: [tape.new(count, FLOAT)])
        return tape.record(
            (1, FLOAT), [likely], [likely], lambda g: [tape.new(count, FLOAT)]
        ), kept

    def _cross_entropy_in_parts(self, logits: Tensor) -> Tensor:
        """backend/training/loss.py: fp32 for a part of the rows at a time; the gradient
        has the width of the logits.
        """
        tape, count, width = self.tape, logits.count, logits.width
        part = min(count, max(self.shape.vocab_size, self.loss_values))

        def backward(g: Tensor) -> list[Tensor | None]:
            gradient = tape.new(count, width)
            share = tape.new(part, FLOAT)
            del share
            return [gradient]

        wide, exponents = tape.new(part, FLOAT), tape.new(part, FLOAT)
        del wide, exponents
        return tape.record((1, FLOAT), [logits], [logits], backward)
