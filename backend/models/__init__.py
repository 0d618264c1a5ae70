"""Models: the catalogue, those on this computer, and downloads.

Decision: Downloads use our own HTTP client, not `hf_hub_download`.
Because: that starts a stopped download at byte 0, with Xet too, since it deletes its
    temporary file, reports progress only every 10 MiB, and logs URLs that may be signed
    (huggingface_hub 2.4.0, `_download_to_tmp_and_move`).
Proof: tests/backend/models/test_download.py, against a server on loopback; the real hub
    was not asked.
Reconsider when: huggingface_hub resumes a killed download.

Decision: Of a vision-language model, only the language part is loaded. Merging changes
    its weights in the whole model's files.
Because: all examples are texts.
Proof: tests/backend/test_other_models.py, with tiny models of each family.
Reconsider when: images can be learned here.

Decision: safetensors only, and no code that comes with a model is ever run.
Because: pickles and `auto_map` run code of strangers.
Proof: tests/backend/models/test_download.py, tests/backend/training/test_training.py.
Reconsider when: another format without code replaces safetensors.
"""
