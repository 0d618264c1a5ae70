"""A decoder model on a `Tape`: its weights, and a forward pass to the loss, as transformers and peft write it.

Sources: transformers 5 `modeling_llama.py` (its sisters differ in norms and caps only) and `loss_utils.py`;
peft 0.19 to 0.21 `tuners/lora/layer.py` and `bnb.py`: adapters are fp32, and each target keeps an fp32 copy of its
input; bitsandbytes: NF4 in blocks of 64 with an fp32 scale each, or an 8-bit one under double quantisation
(Dettmers et al., QLoRA, 2023: 0.127 bits a parameter).
"""

from __future__ import annotations

from functools import partial

from backend.estimate import attention
from backend.estimate.architecture import Architecture
from backend.estimate.operations import (
    FLOAT,
    Weight,
    activate,
    add,
    cast,
    copy,
    linear,
    multiply,
    norm,
    rotate,
    scale,
    view,
)
from backend.estimate.plan import Plan
from backend.estimate.tape import Meter, Tape, Tensor

_NF4_BLOCK = 64
_SCALE_BLOCK = 256


class Layer:
    """The linear layers of one block by name, and for each that is adapted its pair (A, B)."""

    def __init__(self) -> None:
        self.weights: dict[str, Weight] = {}
        self.adapters: dict[str, tuple[Weight, Weight]] = {}
        self.norm: Weight


class Decoder:
    """A model on a card. `forward` gives (loss, what the caller keeps)."""

    def __init__(self, architecture: Architecture, plan: Plan, meter: Meter) -> None:
        self.shape, self.plan = architecture, plan
        self.tape = Tape(meter)
        self.meter = meter
        self.learning: list[Tensor] = []
        self._held: list[Tensor] = []
        self.full, self.packed = plan.method == "full", plan.method == "qlora"
        self.rest = FLOAT if self.packed and plan.fp32_norms else plan.width  # width of norms, embeddings and head
        self._load()

    def _load(self) -> None:
        shape = self.shape
        self.embedding = self._weight(shape.vocab_size, shape.hidden_size, self.rest)
        self.layers = [self._layer() for _ in range(shape.num_layers)]
        self.final_norm = self._weight(1, shape.hidden_size, self.rest)
        if shape.tie_word_embeddings:
            self.head = self.embedding
        else:
            self.head = self._weight(shape.vocab_size, shape.hidden_size, self.rest)
        biases = shape.num_params - shape.counted_params
        if 0 < biases < shape.counted_params // 50:
            self._weight(1, biases, self.rest)
        if not self.full:
            for layer in self.layers:
                self._adapt(layer)

    def _weight(self, outputs: int, inputs: int, width: int) -> Weight:
        widened = width == FLOAT and self.plan.width != FLOAT
        with self.meter.purpose("fp32 leftovers" if widened else "weights"):
            tensor = self.tape.new(outputs * inputs, width)
        if self.full:
            self.learning.append(self.tape.leaf(tensor))
        return Weight(outputs, inputs, width, tensor=tensor)

    def _layer(self) -> Layer:
        layer = Layer()
        for name, (outputs, inputs) in self.shape.matrices.items():
            if self.packed:
                self._pack(outputs * inputs)
                layer.weights[name] = Weight(outputs, inputs, self.plan.width, packed=True)
            else:
                layer.weights[name] = self._weight(outputs, inputs, self.plan.width)
        layer.norm = self._weight(1, self.shape.hidden_size, self.rest)
        for _ in range(self.shape.layer_norms - 1):
            self._weight(1, self.shape.hidden_size, self.rest)
        return layer

    def _pack(self, count: int) -> None:
        scales = count // _NF4_BLOCK
        with self.meter.purpose("weights"):
            self._held.append(self.tape.new(count // 2, 1))
        with self.meter.purpose("quantisation scales"):
            self._held.append(self.tape.new(16, FLOAT))
            if self.plan.double_quant:
                self._held.append(self.tape.new(scales, 1))
                self._held += [self.tape.new(scales // _SCALE_BLOCK + 1, FLOAT), self.tape.new(256, FLOAT)]
            else:
                self._held.append(self.tape.new(scales, FLOAT))

    def _adapt(self, layer: Layer) -> None:
        with self.meter.purpose("adapter"):
            for name, weight in layer.weights.items():
                if name in self.plan.targets:
                    pair = []
                    for outputs, inputs in ((self.plan.rank, weight.inputs), (weight.outputs, self.plan.rank)):
                        tensor = self.tape.leaf(self.tape.new(outputs * inputs, FLOAT))
                        self.learning.append(tensor)
                        pair.append(Weight(outputs, inputs, FLOAT, tensor=tensor))
                    layer.adapters[name] = (pair[0], pair[1])

    def forward(self) -> tuple[Tensor, list[Tensor]]:
        """One forward pass: the loss, and the tensors that the caller holds until the step ends."""
        tape, plan = self.tape, self.plan
        with self.meter.purpose("activations"):
            hidden = self._embed()
            mask = self._mask() if plan.attention == "eager" else None
            for layer in self.layers:
                block = partial(self._block, layer, mask)
                hidden = tape.checkpoint(block, hidden) if plan.checkpointing else block(hidden)
            del mask
            hidden = norm(tape, hidden, self.final_norm, wide=self.shape.is_gemma)
        with self.meter.purpose("logits and loss"):
            return self._loss(hidden)

    def _embed(self) -> Tensor:
        tokens, tape = self.plan.tokens, self.tape
        hidden = tape.new(tokens * self.shape.hidden_size, self.rest)
        if not self.full:
            return tape.leaf(hidden)  # as enable_input_require_grads does
        table = self.embedding
        saved = [tape.save(None)]
        return tape.record(hidden, [table.tensor], saved, lambda g, _: [tape.new(table.count, table.width)])

    def _mask(self) -> Tensor:
        square = self.plan.max_tokens**2
        allowed = self.tape.new(square, 1)
        mask = self.tape.new(square, self.rest)
        del allowed
        return mask

    def _block(self, layer: Layer, mask: Tensor | None, hidden: Tensor) -> Tensor:
        tape, wide = self.tape, self.shape.is_gemma
        sandwich = self.shape.layer_norms == 4
        residual = hidden
        hidden = norm(tape, hidden, layer.norm, wide)
        hidden, _scores = self._attention(layer, hidden)
        if sandwich:
            hidden = norm(tape, hidden, layer.norm, wide)
        hidden = add(tape, residual, hidden)
        residual = hidden
        hidden = norm(tape, hidden, layer.norm, wide)
        hidden = self._mlp(layer, hidden)
        if sandwich:
            hidden = norm(tape, hidden, layer.norm, wide)
        return add(tape, residual, hidden)

    def _attention(self, layer: Layer, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        shape, plan, tape = self.shape, self.plan, self.tape
        groups = shape.num_attention_heads // shape.num_kv_heads
        eager, flash = plan.attention == "eager", plan.attention == "flash_attention_2"
        apart = eager or (groups > 1 and not flash)
        q = view(tape, self._project(layer, "q_proj", hidden), eager)
        k = view(tape, self._project(layer, "k_proj", hidden), apart)
        v = view(tape, self._project(layer, "v_proj", hidden), apart)
        if shape.has_qk_norm:
            q, k = (norm(tape, x, layer.norm, shape.is_gemma) for x in (q, k))
        q, k = rotate(tape, q), rotate(tape, k)
        scores: Tensor | None = None
        if eager:
            count = plan.batch * shape.num_attention_heads * plan.max_tokens**2
            out, scores = attention.eager(tape, q, k, v, groups, plan.batch, count)
        else:
            out = attention.fused(tape, q, k, v, groups, flash)
        out = self._project(layer, "o_proj", out)
        return out, scores

    def _mlp(self, layer: Layer, x: Tensor) -> Tensor:
        tape = self.tape
        if "gate_proj" not in layer.weights:
            return self._project(layer, "down_proj", activate(tape, self._project(layer, "up_proj", x)))
        return self._project(
            layer,
            "down_proj",
            multiply(
                tape, activate(tape, self._project(layer, "gate_proj", x)), self._project(layer, "up_proj", x)
            ),
        )

    def _project(self, layer: Layer, name: str, x: Tensor) -> Tensor:
        tape = self.tape
        result = linear(tape, x, layer.weights[name])
        if name not in layer.adapters:
            return result
        given = result.width
        first, second = layer.adapters[name]
        if self.packed:
            result = copy(tape, result)
        x = cast(tape, x, FLOAT)
        learned = scale(tape, linear(tape, linear(tape, x, first), second))
        if self.packed:
            return add(tape, result, cast(tape, learned, given))
        result = add(tape, result, learned)
        del learned
        return cast(tape, result, given)

    def _loss(self, hidden: Tensor) -> tuple[Tensor, list[Tensor]]:
        tape, shape = self.tape, self.shape
        if not self.plan.full_logits and self.plan.learned_share < 1:
            hidden = self._labelled(hidden)
        logits = linear(tape, hidden, self.head)
        if shape.caps_logits:
            logits = scale(tape, activate(tape, scale(tape, logits)))
        kept = [logits] if self.plan.full_logits else []
        wide = cast(tape, logits, FLOAT)
        del logits
        return self._cross_entropy(wide), kept

    def _labelled(self, hidden: Tensor) -> Tensor:
        tape, whole = self.tape, hidden.count
        rows = max(1, round(self.plan.tokens * self.plan.learned_share))
        out = tape.new(rows * self.shape.hidden_size, hidden.width)
        return tape.record(out, [hidden], [tape.save(None)], lambda g, _: [tape.new(whole, g.width)])

    def _cross_entropy(self, logits: Tensor) -> Tensor:
        tape, count = self.tape, logits.count
        out = tape.new(count, FLOAT)
        likely = tape.record(out, [logits], [tape.save(out)], lambda g, _: [tape.new(count, FLOAT)])
        saved = [tape.save(likely)]
        return tape.record(tape.new(1, FLOAT), [likely], saved, lambda g, _: [tape.new(count, FLOAT)])

