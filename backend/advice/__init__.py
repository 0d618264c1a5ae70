"""Which model and which settings to choose, and what a loss curve says.

Decision: Models are ranked by published results after fine-tuning, within the guide's
    limits for each machine.
Because: size alone misleads: in those results Llama 3.2 3B did about as well as Qwen3
    1.7B. The gain does not count, because it is largest for models that start out
    worst. A model without published results counts as the best-ranked one of at most
    half its size.
Proof: tests/backend/advice/test_ranking.py, tests/backend/models/test_catalogue.py.
Reconsider when: somebody publishes results of the catalogue's models on small datasets
    such as ours.

Decision: On a processor, the best-ranked model that trains in about half an hour is
    recommended. Until it is downloaded, training uses the best one on this computer,
    and both are shown with their times.
Because: size alone gave everybody the smallest model, although one of four times its
    size trains in twenty minutes.
Proof: tests/backend/advice/test_ranking.py; times of typical machines in
    docs/hardware.md.
Reconsider when: models of this size were compared after training on a few dozen
    examples.

Decision: The light judges the loss only, and a falling loss is not called a good model.
Because: a model can learn its examples and answer worse. That is for evaluation/ to
    say.
Proof: tests/backend/advice/test_diagnose.py, on recorded curves.
Reconsider when: evaluations become quick enough to run during training.

Decision: Few examples get more epochs than the guide's three, so that there are enough
    optimizer steps.
Because: three epochs of 57 examples are 21 steps, after which the bundled model scores
    far lower than after 60.
Proof: tests/benchmarks/recipes.py; results in docs/recipes.md, for the bundled model
    only.
Reconsider when: the recipes are measured on a larger model.
"""
