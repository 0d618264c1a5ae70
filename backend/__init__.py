"""The domain: data, models, training, chat, export. Knows nothing of the page or the job runner.

errors.py       the error family: what happened, why, and what to do next
settings.py     the workspace on disk, ids, secrets in the environment
work.py         how the code of a job uses the runner
gc_pause.py     no garbage collection while many objects are built
child_process.py, watchdog.py   child processes that never outlive their parent
statistics.py   compares two models on the same few examples
records/        frozen data that packages exchange
text/           text and JSON: compared, shortened, read strictly
files/          atomic writes, JSON files, manifests
install/        which PyTorch fits this machine; used by start.py
hardware/       what this machine has, and how fast it is
models/         the catalogue, models on this computer, downloads
tokens/         from messages to token ids and labels
datasets/       the user's data: read, converted, checked, edited, split
drafts/         examples made from a text, a table or a topic
estimate/       memory and time of training, before anything is loaded
advice/         which model and settings; what a loss curve says
runs/           a run's data on disk
training/       trains a model on the rows of a run
gguf/           GGUF files for llama.cpp
chat/           answers from a model, in a process of its own
evaluation/     whether a model is any good
export/         files to take away, each with its checks
serving/        an endpoint for other programs
hosting/        what visitors of a shared demo may do

Decision: A bare process for each parent kills its children when its pipe to the parent closes.
Because: the system closes it on every platform, even if the parent was killed. A thread of the child would never run
    while C code holds Python's lock, and PR_SET_PDEATHSIG fires when the thread that started the child ends.
Proof: tests/backend/test_child_process.py; it has not run on Windows or macOS.
Reconsider when: the parent and its watchdog are killed together, as by the end of a container, and children live on.
"""
