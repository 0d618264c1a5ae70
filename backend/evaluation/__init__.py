"""Whether a model is any good: its answers to held-out examples, scored and compared.

Decision: The verdict comes from one measure, chosen from the data before any answer is
    seen: exact McNemar for right and wrong, a cluster bootstrap for graded scores, else
    "no difference shown".
Because: the best of several measures is always better by chance. Dependent items count
    once.
Proof: tests/backend/test_statistics.py, tests/backend/evaluation/test_measures.py.
Reconsider when: people bring hundreds of held-out examples: then a second measure is
    affordable.

Decision: What is wrong with the answers is named by measurement, with one setting to
    change.
Because: people who don't program can't read it off a loss curve.
Proof: tests/backend/evaluation/test_diagnosis.py.
Reconsider when: a suggested change often does not help.

Decision: An evaluation follows a run where it is estimated to take less than three
    minutes. It waits in the lane of the runs, before other jobs.
Because: both load a model, and a dry run must measure alone.
Proof: tests/backend/evaluation/test_job.py, tests/jobs/test_worker.py.
Reconsider when: GPUs make most evaluations that short.

Decision: The verdict has two halves, the task and the rest. The rest is 129 questions
    and 30 other prompts, none of which is ever trained, and the switch `keep_general`
    is the advice only where it was off.
Because: a lower rate or fewer epochs lose the task as well (docs/recipes.md), and 15
    questions were too few to tell.
Proof: tests/backend/evaluation/test_general.py.
Reconsider when: the bundled model changes: its near ties were left out.

Decision: Prompts can be tried before training, laid out as a run. Their answers lie
    beside the dataset, where a later evaluation takes them.
Because: a good prompt may make training unnecessary.
Proof: tests/backend/evaluation/test_prompt_trial.py.
Reconsider when: a trial takes nearly as long as training.

Decision: Plain texts are judged by nats per token, each text once, whatever its length.
Because: one long text would otherwise decide.
Proof: tests/backend/evaluation/test_texts.py.
Reconsider when: people bring a few long texts, whose passages should count.

Decision: Facts, and the examples that are most like a question, are looked up by BM25
    of our own, 25 lines.
Because: the question is whether looking up does as well as training, not how well it
    can be done.
Proof: tests/backend/evaluation/test_facts.py.
Reconsider when: looking up becomes a feature of its own.

Decision: New and old versions are compared on held-out questions whose rows, and
    near-copies of them, neither trained nor chose a checkpoint of either.
Because: anything else favors the version that saw them.
Proof: tests/backend/evaluation/test_against_parent.py.
Reconsider when: too few questions remain to compare versions.

Decision: A blind test keeps its sides on the server until nothing can be changed, and
    the e-value decides.
Because: votes are looked at as they come in. Repeated questions measure the voter, and
    never count.
Proof: tests/backend/evaluation/test_blind_test.py,
    tests/ui/web/try_it/test_blind_card.py.
Reconsider when: the number of votes is fixed beforehand.
"""
