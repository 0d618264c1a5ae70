"""The formats that one job makes, and the names of files."""

import pytest

from backend.export import formats


@pytest.mark.parametrize(
    ("to", "jobs"),
    [
        ("gguf:Q4_K_M,gguf:Q8_0,ollama", ["gguf:Q4_K_M,gguf:Q8_0"]),
        ("ollama", ["gguf:Q8_0"]),
        ("gguf:F16, adapter,gguf:F16", ["adapter", "gguf:F16"]),
        ("merged,script", ["merged", "script"]),
    ],
)
def test_which_formats_one_job_makes(to: str, jobs: list[str]) -> None:
    assert formats.jobs_for(to) == jobs


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My Model", "my-model"), ("../../etc/passwd", "etc-passwd"), ("日本語", "model"), ("", "model"),
        ("a" * 100, "a" * 40), ("Über; rm -rf $(x)", "uber-rm-rf-x"), ("--help", "help"),
        ("Größte Liste", "grosste-liste"),
    ],
)  # fmt: skip
def test_a_name_becomes_a_plain_file_name(name: str, slug: str) -> None:
    assert formats.slug(name) == slug
