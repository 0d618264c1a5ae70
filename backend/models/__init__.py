"""Models: the catalogue, those on this computer, and downloads.

    catalogue.py            the models that can be trained
    evidence.py             published comparisons of fine-tuned models
    bundled.py              the bundled model
    bundled_file.py         its tokenizer and weights, from the packed file
    local.py                which models are on this computer, and where
    model_folder.py         checks a model folder, and loads it without running its code
    causal_lm.py            which models transformers loads as a language model
    four_bit.py             models with 4-bit weights
    safetensors_files.py    which tensors files hold, and rows of them
    gguf_header.py          the metadata of a GGUF file, and where its tensors are
    hub.py                  the Hugging Face hub over HTTP
    download.py             the job "download"
    hub_token.py            the person's access token

Decision: Downloads use our own HTTP client, not `hf_hub_download`.
Because: that starts a killed download at byte 0, reports progress only every 10 MiB, and logs URLs that may be signed
    (tried with huggingface_hub 2.4.0).
Proof: tests/backend/models/test_download.py, against a server on loopback; the real hub was not asked.
Reconsider when: huggingface_hub resumes a killed download.

Decision: Of a vision-language model, only the language part is loaded. Merging changes its weights in the whole
    model's files.
Because: all examples are texts.
Proof: tests/backend/test_other_models.py, with tiny models of each family.
Reconsider when: images can be learned here.

Decision: safetensors only, and no code that comes with a model is ever run.
Because: pickles and `auto_map` run code of strangers.
Proof: tests/backend/models/test_download.py, tests/backend/training/test_training.py.
Reconsider when: another format without code replaces safetensors.
"""
