"""Answers from a model, in a process of its own. The page uses client.py, which imports
neither torch nor llama.cpp.

Decision: llama.cpp answers where it can hold the model: the base as Q8_0 and the
    adapter as a GGUF LoRA. transformers takes over for what that can't express, and if
    anything fails.
Because: people then try what they will export.
Proof: tests/backend/chat/test_engines.py, one contract for all engines;
    tests/benchmarks/chat_speed.py.
Reconsider when: llama.cpp's LoRA can express DoRA, which older runs have: then only
    fully trained models need transformers.

Decision: Each model has a process of its own, and evaluations first try in a child
    whether llama.cpp can hold every model.
Because: a process that had loaded torch crashed when it answered with llama.cpp: both
    use the processor's AMX tiles.
Proof: tests/backend/chat/test_engines.py, test_chat.py.
Reconsider when: both use AMX tiles in one process without a crash.

Decision: Base is verified to be base: its probabilities before the adapter is attached
    must be bit-identical with the adapter switched off.
Because: both panes answer from one copy of the weights, and a mistake there would look
    like learning.
Proof: tests/backend/chat/test_engines.py plants an adapter that stays on.
Reconsider when: the panes no longer share weights. (In llama.cpp the 1,000 largest
    probabilities are compared, in transformers all logits.)

Decision: A chat answers in the precision that was trained, where that decides what
    fits: after QLoRA on an NVIDIA GPU in 4 bits.
Because: the 16-bit model may not fit where it was trained.
Proof: tests/backend/chat/test_place.py; none of it has run on a GPU.
Reconsider when: llama.cpp holds the same 4-bit weights.

Decision: A follow-up question reads only what is new; any other prompt is read from its
    start.
Because: a prompt that is read in other pieces gives slightly other numbers.
Proof: tests/backend/chat/test_engines.py.
Reconsider when: the numbers are the same however a prompt is cut.

Decision: A long document is split as in training, and pieces overlap by at most an
    eighth. JSON answers become one list without repetitions.
Because: joined answers then repeat little.
Proof: tests/backend/chat/test_documents.py,
    tests/ui/services/results/test_documents.py.
Reconsider when: the bundled model can read whole documents.
"""
