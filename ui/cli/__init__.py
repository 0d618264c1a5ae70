"""The command line: one file for a group of commands.

    main.py                                                      the options, and how answers and errors are printed
    options.py, output.py                                        what several commands share
    follow.py                                                    waits for a job while its progress is printed
    data_commands.py, draft_command.py                           check, fix, datasets, draft
    advice_commands.py, machine_commands.py, model_commands.py   recommend, estimate, doctor, models
    run_commands.py                                              train, runs, show, stop, resume, ...
    result_commands.py, evaluate_command.py                      chat, export, import, evaluate
    share_commands.py                                            serve-model, push, space

Decision: Each command takes `--json` and prints one JSON document, also for wrong usage.
Because: scripts and tests read it.
Proof: tests/ui/cli/test_main.py.
Reconsider when: another interface for programs replaces it.
"""
