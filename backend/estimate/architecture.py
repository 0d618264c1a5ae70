"""The parts of a model that decide its memory."""

import re

from pydantic import ConfigDict

from backend.records.base import Record


class Architecture(Record):
    """A decoder-only transformer with rotary positions and RMSNorm. num_params counts
    tied embeddings once; 0 if unknown. attention_layers: the blocks with attention;
    None for all. The others are gated short convolutions over conv_kernel tokens (LFM2)
    or, if delta_heads gives their numbers of key and value heads of size delta_dim,
    gated delta nets (Qwen3.5, whose attention is gated too). post_norm: the norms come
    after attention and MLP only. linear_layers: of a block of which nothing else is
    known: path, outputs and inputs. The defaults of the fields before it follow from
    the family in the name (Gemma's wide norms, capped logits and score matrices,
    Qwen3's norms of queries and keys).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    num_params: int = 0
    hidden_size: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    attention_layers: tuple[int, ...] | None = None
    conv_kernel: int = 3
    delta_heads: tuple[int, int] | None = None
    delta_dim: int = 128
    post_norm: bool = False
    gated_mlp: bool | None = None
    qk_norm: bool | None = None
    wide_norms: bool | None = None
    norms_per_layer: int | None = None
    capped_logits: bool | None = None
    eager_only: bool | None = None
    linear_layers: tuple[tuple[str, int, int], ...] | None = None

    @property
    def is_modeled(self) -> bool:
        """Whether the memory of its training can be computed; if not, only parameters
        and `matrices` are known.
        """
        return self.linear_layers is None

    @property
    def is_eager_only(self) -> bool:
        """Whether transformers computes its score matrices on every device, as in Gemma
        2, which caps them.
        """
        return self._gemma == "2" if self.eager_only is None else self.eager_only

    @property
    def has_wide_norms(self) -> bool:
        """Whether norms apply their weight in fp32, before the cast, as in Gemma, OLMo
        2 and 3 and Qwen3.5.
        """
        by_name = (
            re.search(r"gemma|olmo-?[23]|qwen-?3[._]5", self.name.lower()) is not None
        )
        return by_name if self.wide_norms is None else self.wide_norms

    @property
    def has_qk_norm(self) -> bool:
        """Whether queries and keys are normalized, as in Qwen3, Gemma 3, OLMo 2 and
        LFM2.
        """
        by_name = re.search(
            r"qwen-?3|olmo-?2|lfm-?2", self.name.lower()
        ) is not None or self._gemma in ("3", "4")
        return by_name if self.qk_norm is None else self.qk_norm

    @property
    def layer_norms(self) -> int:
        """Norms per block: before attention and MLP; from Gemma 2 on also after them."""
        return self.norms_per_layer or (4 if self._gemma else 2)

    @property
    def caps_logits(self) -> bool:
        """Whether logits pass through a tanh, as in Gemma 2."""
        return self._gemma == "2" if self.capped_logits is None else self.capped_logits

    @property
    def _gemma(self) -> str:
        """The generation of a Gemma model, "" for the first (the "2" of "gemma-2b" is a
        size).
        """
        match = re.search(r"gemma[-_ ]?([2-4])(?!\.?\d*b)", self.name.lower())
        return match.group(1) if match else ""

    @property
    def attending(self) -> int:
        """The number of blocks with attention."""
        return sum(self.attends(index) for index in range(self.num_layers))

    def attends(self, index: int) -> bool:
        """Whether block `index` has attention; otherwise it is a gated short
        convolution or delta net.
        """
        return self.attention_layers is None or index in self.attention_layers

    @property
    def convolved(self) -> int:
        """Channels of the convolution in a block without attention: its width, or all
        queries, keys and values.
        """
        keys, values = self.delta_heads or (0, 0)
        return (2 * keys + values) * self.delta_dim or self.hidden_size

    def matrices(self, index: int) -> dict[str, tuple[int, int]]:
        """The linear layers of block `index`: name, or path in the block, to (outputs,
        inputs).
        """
        if self.linear_layers is not None:
            return {
                name: (outputs, inputs) for name, outputs, inputs in self.linear_layers
            }
        hidden, inner = self.hidden_size, self.intermediate_size
        wide, narrow = (
            self.num_attention_heads * self.head_dim,
            self.num_kv_heads * self.head_dim,
        )
        if self.attends(index):
            shapes = {
                "q_proj": (
                    wide * 2 if self.delta_heads else wide,
                    hidden,
                ),  # with the gates
                "k_proj": (narrow, hidden),
                "v_proj": (narrow, hidden),
                "o_proj"
                if self.attention_layers is None or self.delta_heads
                else "out_proj": (hidden, wide),
            }
        elif self.delta_heads:
            values = self.delta_heads[1] * self.delta_dim
            shapes = {
                "in_proj_qkv": (self.convolved, hidden),
                "in_proj_z": (values, hidden),
                "in_proj_b": (self.delta_heads[1], hidden),
                "in_proj_a": (self.delta_heads[1], hidden),
                "out_proj": (hidden, values),
            }
        else:
            shapes = {"in_proj": (3 * hidden, hidden), "out_proj": (hidden, hidden)}
        if self.gated_mlp is not False:
            shapes["gate_proj"] = (inner, hidden)
        return {**shapes, "up_proj": (inner, hidden), "down_proj": (hidden, inner)}

    @property
    def linear_params(self) -> int:
        """Parameters of all linear layers in all blocks, which 4-bit loading packs."""
        shapes = [
            shape
            for index in range(self.num_layers)
            for shape in self.matrices(index).values()
        ]
        return sum(outputs * inputs for outputs, inputs in shapes)

    @property
    def embedding_params(self) -> int:
        """Parameters of the token embedding, and of the output head if it is a separate
        matrix.
        """
        return (
            self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        )

    @property
    def counted_params(self) -> int:
        """Parameters by formula: linear layers, embeddings, norms, convolutions
        (without biases).
        """
        norms = (self.layer_norms * self.num_layers + 1) * self.hidden_size
        if self.has_qk_norm:
            norms += 2 * self.attending * self.head_dim
        other = self.convolved * self.conv_kernel
        if self.delta_heads:
            other += (
                2 * self.delta_heads[1] + self.delta_dim
            )  # decays, their biases and a norm
        return (
            self.linear_params
            + self.embedding_params
            + norms
            + (self.num_layers - self.attending) * other
        )

    @property
    def bias_params(self) -> int:
        """The rest of num_params after `counted_params`, if it is small enough to be
        biases.
        """
        rest = self.num_params - self.counted_params
        return rest if 0 < rest < self.counted_params // 50 else 0

    @property
    def params(self) -> int:
        return self.num_params or self.counted_params
