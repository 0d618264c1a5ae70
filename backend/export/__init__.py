"""Files to take away, each with its checks, and back again.

Decision: An export is offered only with its checks, all in CHECKS.json: the same token
    ids and texts everywhere, the right end tokens, the merged model's next words. A
    file that failed one is behind a warning, and never uploaded.
Because: a converted model that is subtly wrong still answers. A share counts as missed
    where chance alone would do that in less than one of a hundred files.
Proof: tests/backend/export/test_planted_faults.py plants what must be noticed;
    test_checks.py. LM
    Studio, Ollama and Jan have not opened a file.
Reconsider when: a check raises false alarms.

Decision: All files of a format are made before the first check.
Because: a check that fails is rare, and peft and the models that it loads are then the
    only ones in memory.
Proof: tests/benchmarks/export_speed.py.
Reconsider when: many merges have to be repeated in float32.

Decision: Merging streams: the base's files are rewritten tensor by tensor, with the
    bits of peft's `merge_and_unload`.
Because: peft's way needs two and a half times the model in memory.
Proof: tests/backend/export/test_merge.py; tests/benchmarks/export_speed.py.
Reconsider when: peft merges from files.

Decision: After QLoRA the adapter is merged into the 16-bit weights, and the loss as
    trained and as exported is measured.
Because: the adapter was trained on rounded weights, so that merging may cost something;
    and nobody who can't program could choose between these weights and the rounded
    ones.
Proof: tests/backend/export/test_export.py; 4-bit training has not run on a GPU.
Reconsider when: measurements show that merging costs much.

Decision: Ollama's template is derived by example: placeholders through the chat
    template, and conversations must come out alike, or none is written.
Because: Go's templates can't be translated from Jinja in general.
Proof: tests/backend/export/test_modelfile.py.
Reconsider when: Ollama reads the chat template in a GGUF file.

Decision: A model travels in a zip file without compression, and an import takes only
    the names that an export writes.
Because: nothing in it can be larger than the file itself, and it may come from a
    stranger.
Proof: tests/backend/export/test_run_archive.py.
Reconsider when: the size of these files is a burden.

Decision: llama.cpp for browsers (wllama) is shipped, compressed with xz and pinned by
    SHA-256: 4.8 MB instead of 29.
Because: an export then needs no network and no host that may go away. 2.9 MB of it are
    for browsers that lack what the faster build needs, such as Safari.
Proof: tests/backend/export/test_page_to_give.py, tests/browser/test_page_to_give.py.
    Firefox was
    tried by hand, Safari not: its build ran in Chromium without JSPI.
Reconsider when: wllama can be built without the parts that a chat does not need.

Decision: The exported script is written on accelerate, and makes a zip file that an
    import takes. A step's loss is its mean over the learned tokens of all processes;
    all pass through the model equally often, and one that lacks rows repeats one with
    weight 0.
Because: an engine that thousands use starts processes on many machines and divides
    models (DDP, FSDP2, ZeRO).
Proof: tests/backend/export/test_engines.py: two processes on a CPU have the losses of
    one to 1e-6; no GPU has run it.
Reconsider when: TRL's trainer can weigh a step by all its tokens in every engine.

Decision: Uploads are huggingface_hub's, in a thread that ends with its worker.
Because: it resumes them by content, and can't be interrupted.
Proof: tests/backend/export/test_hub_push.py, against a stand-in; the real hub was not
    asked.
Reconsider when: it can be cancelled.
"""
