"""GGUF files for llama.cpp.

Decision: Two packages bring llama.cpp: xllamacpp answers, and llama-cpp-python makes
    the files smaller than Q8_0.
Because: xllamacpp is ready-made for every system that has a PyTorch, and answers at 0.9
    of the speed of llama-cpp-python (tests/benchmarks/chat_speed.py), but has no
    quantizer. llama-cpp-python is source only where its author has no wheel, and
    nothing is compiled unless asked for. An engine on its C interface was dropped.
Proof: tests/backend/chat/test_engines.py, tests/backend/gguf/test_convert.py.
Reconsider when: xllamacpp can quantize: then drop the other. Or when the probability of
    each word of long texts is wanted from a GGUF file, for which the server takes a
    step each.

Decision: Sizes are computed from shapes, by llama.cpp's rules for which weights get a
    larger type.
Because: people choose a size before a file is made, which takes minutes.
Proof: tests/backend/gguf/test_sizes.py compares with real files, to a tenth of a
    percent.
Reconsider when: llama.cpp changes its rules: the test then fails.

Decision: The converter's row order of an adapter is found by comparing each adapted
    weight with the base's file.
Because: the converter reorders the rows of some weights, differently for each family.
Proof: tests/backend/chat/test_engines.py compares an adapter's effect with that in
    transformers.
Reconsider when: llama.cpp's converter writes adapters of every family that it converts.
"""
