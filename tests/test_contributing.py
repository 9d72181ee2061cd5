"""The page for contributors: its Python runs as it stands, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minigan import metrics
from minigan.autodiff import REGISTRY

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "lessons" / "contributing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S)


def test_its_blocks_run_one_after_the_other(monkeypatch, capsys):
    monkeypatch.setattr(metrics.registry, "METRICS", dict(metrics.registry.METRICS))
    before, space = dict(REGISTRY), {"__name__": "contributing"}
    try:
        for block in BLOCKS:
            exec(block, space)
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)
    assert len(BLOCKS) == 4 and capsys.readouterr().out.count("error") == 2


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:minigan|tests|bench|lessons|\.ci)/[\w./]+)`", PAGE))))
def test_what_it_names_is_there(name):
    assert (ROOT / name.replace("NN_name", "12_dirac_gan").replace("NAME", "dcgan")).exists()


def test_code_hosts_are_led_to_it():
    told = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (link,) = re.findall(r"\]\((.*)\)", told)
    assert (ROOT / ".github" / link).resolve() == (ROOT / "lessons" / "contributing.md").resolve()
    assert "version: 0.1.0" in (ROOT / ".github" / "CITATION.cff").read_text(encoding="utf-8")
