"""A model's weights in simulated memory: loaded, packed to 4 bits, widened and adapted
like in the libraries.

Sources: transformers 5 `modeling_utils.py` (`caching_allocator_warmup` reserves the
model's size at once) and `core_model_loading.py` (threads load weights ahead of the one
that packs them; 5.24 loads one at a time) and bitsandbytes (NF4 in blocks of 64 with an
fp32 scale each, or with double quantization an 8-bit scale, and an fp32 one per 256 of
those; Dettmers et al., QLoRA, 2023); peft `prepare_model_for_kbit_training` and its
fp32 adapters.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from backend.estimate.architecture import Architecture
from backend.estimate.operations import FLOAT, Weight
from backend.estimate.plan import Plan, adapted
from backend.estimate.tape import Meter, Tape, Tensor

# Weights that a plain script with an older transformers has loaded ahead of packing. It
# depends on which is faster, disk or card; with 40, none of the rows in
# tests/data/measured_vram_t4*.json is more than 8% under.
_LOADED_AHEAD = 40
_NF4_BLOCK = 64
_SCALE_BLOCK = 256


@dataclass
class Layer:
    """The linear layers of a block by name, and the adapter (A, B) of each that has
    one.
    """

    norm: Weight
    weights: dict[str, Weight] = field(default_factory=dict)
    convolution: Weight | None = None
    adapters: dict[str, tuple[Weight, Weight]] = field(default_factory=dict)


class Weights:
    """Everything that stays in memory from the start; `learning` lists the tensors that
    the optimizer changes. kept, rest: bytes per number in linear layers, and in norms,
    embeddings and head.
    """

    def __init__(self, shape: Architecture, plan: Plan, tape: Tape) -> None:
        self.shape, self.plan, self.tape = shape, plan, tape
        self.meter: Meter = tape.meter
        self.learning: list[Tensor] = []
        self._biases = shape.bias_params
        self.kept = FLOAT if plan.widened else plan.width
        self.rest = FLOAT if plan.method == "qlora" and plan.fp32_norms else self.kept
        self._held: list[Tensor] = []
        self._packed: list[Tensor] = []
        arriving = self._arriving()
        self.embedding = self._whole(
            shape.vocab_size, shape.hidden_size, next(arriving)
        )
        self.layers = [
            self._layer(arriving, index) for index in range(shape.num_layers)
        ]
        self.final_norm = self._whole(1, shape.hidden_size, next(arriving))
        self.head = self.embedding
        if not shape.tie_word_embeddings:
            self.head = self._whole(shape.vocab_size, shape.hidden_size, next(arriving))
        if self.rest != self.kept:
            with self.meter.purpose("fp32 leftovers"):
                for index, tensor in enumerate(self._held):
                    self._held[index] = tape.new(tensor.count, FLOAT)
            for weight in (
                self.embedding,
                self.final_norm,
                self.head,
                *(layer.norm for layer in self.layers),
            ):
                weight.tensor = None
        if plan.method == "full":
            self.learning = [tape.leaf(tensor) for tensor in self._held]
        for layer in self.layers:
            self._adapt(layer)

    def _arriving(self) -> Iterator[Tensor]:
        """The weights in the order of loading, in 16 bits (32 for fp32)."""
        shape = self.shape
        embedding = shape.vocab_size * shape.hidden_size
        counts = [embedding]
        for index in range(shape.num_layers):
            counts += [
                outputs * inputs for outputs, inputs in shape.matrices(index).values()
            ]
            counts += [shape.hidden_size] * shape.layer_norms
            if not shape.attends(index):
                counts.append(shape.convolved * shape.conv_kernel)
            if self._biases:
                counts.append(self._biases // shape.num_layers)
        counts += (
            [shape.hidden_size]
            if shape.tie_word_embeddings
            else [shape.hidden_size, embedding]
        )
        if self.plan.method == "qlora":
            self.tape.new(
                shape.linear_params // 2
                + (shape.params - shape.linear_params) * self.kept,
                1,
            )
        ahead = (
            _LOADED_AHEAD
            if self.plan.method == "qlora" and self.plan.full_logits
            else 0
        )
        waiting: deque[Tensor] = deque()
        for count in counts:
            waiting.append(self.tape.new(count, self.kept))
            if len(waiting) > ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    def _whole(
        self, outputs: int, inputs: int, tensor: Tensor, width: int | None = None
    ) -> Weight:
        self._held.append(tensor)
        return Weight(outputs, inputs, width or self.rest, tensor=tensor)

    def _layer(self, arriving: Iterator[Tensor], index: int) -> Layer:
        shape, weights = self.shape, {}
        for name, (outputs, inputs) in shape.matrices(index).items():
            tensor = next(arriving)
            if self.plan.method == "qlora":
                self._pack(outputs * inputs)
                weights[name] = Weight(outputs, inputs, self.plan.width, packed=True)
            else:
                weights[name] = self._whole(outputs, inputs, tensor, self.kept)
            del tensor
        norms = [
            self._whole(1, shape.hidden_size, next(arriving))
            for _ in range(shape.layer_norms)
        ]
        convolution = None
        if not shape.attends(index):
            convolution = self._whole(
                shape.convolved, shape.conv_kernel, next(arriving), self.kept
            )
        if self._biases:
            self._held.append(next(arriving))
        return Layer(norms[0], weights, convolution)

    def _pack(self, count: int) -> None:
        new, scales = self.tape.new, count // _NF4_BLOCK
        self._packed.append(new(count // 2, 1))
        with self.meter.purpose("quantization scales"):
            self._packed.append(new(16, FLOAT))
            if self.plan.double_quant:
                self._packed += [
                    new(scales, 1),
                    new(scales // _SCALE_BLOCK + 1, FLOAT),
                    new(256, FLOAT),
                ]
            else:
                self._packed.append(new(scales, FLOAT))

    def _adapt(self, layer: Layer) -> None:
        if self.plan.method == "full":
            return
        targets, rank = adapted(self.plan.targets), self.plan.rank
        with self.meter.purpose("adapter"):
            for name, weight in layer.weights.items():
                if name in targets:
                    layer.adapters[name] = (
                        self._learning(rank, weight.inputs),
                        self._learning(weight.outputs, rank),
                    )

    def _learning(self, outputs: int, inputs: int) -> Weight:
        tensor = self.tape.leaf(self.tape.new(outputs * inputs, FLOAT))
        self.learning.append(tensor)
        return Weight(outputs, inputs, FLOAT, tensor=tensor)
