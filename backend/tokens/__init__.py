"""From messages to `input_ids` and `labels`: the one way, for preview, counts,
training, chat and export.

Decision: What is learned is found by rendering each conversation up to the answer with
    the generation prompt, and through the answer. The difference is learned.
Because: this needs no markers in the template, and agrees with transformers' own mask
    where templates have them. A turn that a template rewrites later is not learned, and
    reported.
Proof: tests/backend/tokens/test_tokenizer.py, with the templates in
    tests/data/chat_templates.
Reconsider when: every template carries transformers' generation markers.

Decision: Content never becomes a control token. Where the tokens before an answer would
    differ from those of the prompt alone, the text is cut there.
Because: training must see exactly what chat feeds, and an example can't imitate a turn.
Proof: tests/backend/tokens/test_tokenizer.py.
Reconsider when: transformers keeps content and markup apart itself.

Decision: Foreign templates and tokenizers run in a process of their own, whose memory
    and time the parent limits.
Because: they come with a model and are programs by strangers. Counting the steps of a
    template was not enough: one step in C can take forever or all the memory, and
    nothing in the same process can interrupt it.
Proof: tests/backend/tokens/test_box.py; tests/benchmarks/boxed_tokens.py measures what
    it costs.
Reconsider when: a sandbox limits time and memory within a step.
"""
