"""Where an exported model goes from here: three steps for each program that can run it.

The names of menus and options are those that the programs document (see
`Program.source`). Which of them were run on a real export is in docs/using-exports.md.
"""

import textwrap
from collections.abc import Mapping, Sequence

from backend.export import snippets
from backend.records.exports import Program

FILE = "how-to-use.txt"
_IMPORT = "Import out.zip on My models: it is this run, with what it learned there."


def for_gguf(file: str, instruction: str = "") -> list[Program]:
    """The programs for a GGUF file with its Modelfile in the same folder. instruction:
    the system prompt, if any.
    """
    model = file.removesuffix(".gguf")
    paste = " Paste the instruction below as the system prompt." if instruction else ""
    return [
        Program(
            name="LM Studio",
            what="A chat window on Windows, macOS and Linux.",
            steps=(
                "Install LM Studio from lmstudio.ai, and start it once.",
                "In My Models, open the models folder. Make a folder “apprentice” "
                f"there, a folder “{model}” inside it, and move {file} into that. Or "
                "type the command below in a terminal.",
                f"Choose {model} in Chat, and set the temperature to 0.{paste}",
            ),
            code=f'lms import "{file}"',
            source="https://lmstudio.ai/docs/app/advanced/import-model",
        ),
        Program(
            name="Ollama",
            what=(
                "Runs in the background; many programs can use it. The Modelfile has "
                "the template and the instruction."
            ),
            steps=(
                "Install Ollama from ollama.com.",
                f"Put {file} and {model}.Modelfile into one folder, and open a terminal "
                "in that folder.",
                "Type the two commands below. The second one starts a chat.",
            ),
            code=(
                f"ollama create {model.lower()} -f {model}.Modelfile\n"
                f"ollama run {model.lower()}"
            ),
            source="https://docs.ollama.com/import",
        ),
        Program(
            name="llama.cpp",
            what=(
                "A small server with a chat page; other programs can use it like "
                "OpenAI's."
            ),
            steps=(
                "Install llama.cpp. Windows: winget install llama.cpp. macOS and "
                "Linux: brew install llama.cpp.",
                f"In a terminal in the folder of {file}, type the command below.",
                "Open http://127.0.0.1:8080 in a browser. Programs use "
                f"http://127.0.0.1:8080/v1.{paste}",
            ),
            code=f"llama-server -m {file} --jinja --temp 0 --port 8080",
            source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        ),
        Program(
            name="Jan",
            what="A chat window on Windows, macOS and Linux; open source.",
            steps=(
                "Install Jan from jan.ai, and start it.",
                "Open Settings, Model Providers, Llama.cpp. Press Import and choose "
                f"{file}.",
                f"Start a new chat, choose {model}, and set the temperature to "
                f"0.{paste}",
            ),
            code="",
            source="https://www.jan.ai/docs/desktop/manage-models",
        ),
    ]


def for_merged(
    name: str, instruction: str = "", renamed: Mapping[str, str] | None = None
) -> list[Program]:
    """The programs for the folder NAME-merged. renamed: as for
    `snippets.with_transformers`.
    """
    folder = f"{name}-merged"
    send = " Send the instruction below as the system message." if instruction else ""
    ask = snippets.with_transformers("merged", "", instruction, folder, renamed)
    ask_server = snippets.with_openai(
        "http://127.0.0.1:8000/v1", "unused", name, instruction
    )
    return [
        Program(
            name="vLLM",
            what="A server for many people at once, on Linux with a GPU.",
            steps=(
                f"Unpack {folder}.zip there, and install vLLM: pip install vllm.",
                f"In the folder that contains {folder}, type the first command below.",
                "Any program that uses OpenAI's API can ask it now; the rest below is "
                "an example in Python.",
            ),
            code=(
                f"vllm serve ./{folder} --served-model-name {name} --port 8000\n\n"
                f"{ask_server}"
            ),
            source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        ),
        Program(
            name="MLX",
            what="Fast on a Mac with an Apple chip.",
            steps=(
                f"Unpack {folder}.zip, and install mlx-lm: pip install mlx-lm.",
                f"In the folder that contains {folder}, type the command below.",
                f"Programs can ask it at http://127.0.0.1:8080/v1.{send}",
            ),
            code=f"mlx_lm.server --model ./{folder} --port 8080",
            source="https://github.com/ml-explore/mlx-lm",
        ),
        Program(
            name="transformers",
            what="For your own program in Python.",
            steps=(
                f"Unpack {folder}.zip, and install: pip install transformers torch.",
                "Save the text below as ask.py, next to that folder.",
                "Run it: python ask.py",
            ),
            code=ask,
            source="https://huggingface.co/docs/transformers/llm_tutorial",
        ),
    ]


def for_adapter(
    name: str, base: str, instruction: str, renamed: Mapping[str, str] | None = None
) -> list[Program]:
    """The program for the folder NAME-adapter on the model with the id `base`.
    Otherwise as `for_merged`.
    """
    folder = f"{name}-adapter"
    ask = snippets.with_transformers("adapter", base, instruction, folder, renamed)
    return [
        Program(
            name="transformers and peft",
            what=(
                f"For your own program in Python. It downloads the base model, {base}."
            ),
            steps=(
                f"Unpack {folder}.zip, and install: pip install peft transformers "
                "torch.",
                "Save the text below as ask.py, next to that folder.",
                "Run it: python ask.py",
            ),
            code=ask,
            source="https://huggingface.co/docs/peft/quicktour",
        ),
    ]


def for_page(page: str, website: str) -> list[Program]:
    """The ways to pass on the page with the model in it. page, website: the folders for
    a disk and for the web.
    """
    return [
        Program(
            name="A disk or a stick",
            what=(
                "A chat page that opens by a double click, without a network and "
                "without installing anything."
            ),
            steps=(
                f"Unpack {page}.zip.",
                f"Copy the whole folder {page} to a disk or a stick, or send the zip "
                "file. Its files belong together.",
                "Open index.html in it, in Chrome, Edge or Firefox. The first answer "
                "comes once the model is loaded.",
            ),
            code="",
            source="https://github.com/ngxson/wllama",
        ),
        Program(
            name="A web site",
            what=(
                "The same page for everybody with its address. Visitors download the "
                "model; their questions stay with them."
            ),
            steps=(
                f"Unpack {website}.zip.",
                f"Upload the files in the folder {website} to any web space, with "
                "https. Files whose names begin with a dot or an underscore let it "
                "answer faster.",
                "Open the address of the folder in a browser.",
            ),
            code="",
            source="https://developer.mozilla.org/docs/Web/API/Window/crossOriginIsolated",
        ),
        Program(
            name="A Hugging Face Space",
            what="A static Space costs nothing. Needs an account there.",
            steps=(
                "Open “Put it on Hugging Face” on Share, and choose the page with the "
                "model in it.",
                "Look at what is uploaded, agree, and upload it.",
                "Open the address that is shown then, and make the Space public there "
                "when others should see it.",
            ),
            code="",
            source="https://huggingface.co/docs/hub/spaces-sdks-static",
        ),
    ]


def for_script(model: str = "") -> list[Program]:
    """The ways to run a training script. model: the id of the base model on the hub, ""
    for one of this computer, which a rented one could not download.
    """
    where = "" if model else " --model FOLDER"
    programs = [
        Program(
            name="accelerate on this computer",
            what="Trains with all GPUs of a computer; the steps are those of one GPU.",
            steps=(
                "Unpack the zip file, and open a terminal in its folder.",
                "Install uv from docs.astral.sh/uv, and type the command below.",
                _IMPORT,
            ),
            code=f"uv run train.py --engine ddp{where}",
            source="https://huggingface.co/docs/accelerate/basic_tutorials/launch",
        ),
        Program(
            name="accelerate on a cluster",
            what=(
                "Several computers, with Slurm or Kubernetes; models that are too "
                "large for one GPU."
            ),
            steps=(
                "Unpack the zip file, and open a terminal in its folder.",
                "engines/README.md says which file in engines to take, and has the "
                "lines to type.",
                _IMPORT,
            ),
            code=(
                "accelerate launch --config_file engines/fsdp2.yaml --num_processes 4 "
                f"train.py{where}"
            ),
            source="https://huggingface.co/docs/accelerate/usage_guides/fsdp",
        ),
    ]
    if model:
        programs.append(
            Program(
                name="Hugging Face Jobs",
                what=(
                    "Rents GPUs by the minute; needs an account with a payment method. "
                    "Uploads your examples to it."
                ),
                steps=(
                    "Unpack the zip file, and open a terminal in its folder. Install "
                    "the program hf: pip install huggingface_hub. Log in: hf auth "
                    "login.",
                    "Type the commands below, with your name there for YOU. --timeout "
                    "limits what it can cost.",
                    _IMPORT,
                ),
                code=(
                    "hf buckets create YOU/apprentice --private\n"
                    "hf buckets sync . hf://buckets/YOU/apprentice\n"
                    "hf jobs uv run --flavor l4x4 --timeout 4h -v hf://buckets/YOU/apprentice:/run-folder train.py --folder /run-folder --engine ddp\n"
                    "hf buckets cp hf://buckets/YOU/apprentice/out.zip out.zip"
                ),
                source="https://huggingface.co/docs/huggingface_hub/guides/jobs",
            )
        )
    return programs


def as_text(programs: Sequence[Program], instruction: str = "") -> str:
    """The programs as a plain text file."""
    parts = ["Where to use this model\n=======================\n"]
    for program in programs:
        steps = "\n".join(
            textwrap.fill(
                f"{number}. {step}", 78, subsequent_indent="   ", break_long_words=False
            )
            for number, step in enumerate(program.steps, 1)
        )
        code = (
            f"\n{textwrap.indent(program.code.rstrip(), '    ')}\n"
            if program.code
            else ""
        )
        heading = f"{program.name}\n{'-' * len(program.name)}\n{program.what}"
        parts.append(f"{heading}\n\n{steps}\n{code}\n{program.source}\n")
    if instruction:
        parts.append(
            f"The instruction (system prompt)\n-------------------------------\nEvery chat should start with it, "
            f"also in programs that leave out what the chat template adds:\n\n{instruction}\n"
        )
    return "\n".join(parts)
