"""`minigan train MODEL --help`: each setting and choice is explained in a line, and what comes from a paper says from which."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import pytest

from minigan import gans
from minigan.cli import main
from minigan.gans.choices import GANConfig
from minigan.gans.options import OPTIONS_OF_RUNS, again, option

SOURCE = re.compile(r"(1[4-9]|2[0-6])\d\d\.\d{4,5}|\bibid\.|[A-Z]\w+ (19|20)\d\d|\bpapers?\b|as is done there")
NO_PAPERS = {  # sizes, and conveniences of this program: nobody's idea
    *OPTIONS_OF_RUNS, "latent", "width", "features", "labels", "decay", "held_out",
}  # fmt: skip


@pytest.mark.parametrize("name", gans.MODELS)
def test_every_setting_and_every_choice_has_its_line(name, capsys):
    assert main(["train", name, "--help"]) == 0
    said = capsys.readouterr().out
    for f in dataclasses.fields(gans.get(name).Config):
        help, choices = f.metadata["help"], f.metadata.get("choices", {})
        assert re.search(rf"^  {f.name} +\S* +{re.escape(help)}", said, re.M), f.name
        assert isinstance(choices, Mapping), f"{name}: {f.name}: its choices {choices!r} are not explained"
        for choice, line in choices.items():
            assert line.strip() and f"  {choice}: {line}" in said, f"{name}: {f.name}: {choice}"


@pytest.mark.parametrize("name", gans.MODELS)
def test_what_comes_from_a_paper_names_it(name):
    for f in dataclasses.fields(gans.get(name).Config):
        told = " ".join([f.metadata["help"], *f.metadata.get("choices", {}).values()])
        assert f.name in NO_PAPERS or SOURCE.search(told), f"{name}: {f.name}: {told}: which paper?"


@pytest.mark.parametrize("name", gans.MODELS)
def test_the_place_that_ibid_speaks_of_stands_before_it(name):
    """In the order of the lines of --help; a number of arXiv, or a name with a year."""
    named = False
    for f in dataclasses.fields(gans.get(name).Config):
        for line in [f.metadata["help"], *f.metadata.get("choices", {}).values()]:
            before = re.split(r"ibid\.|as is done there", line)[0]
            assert named or before == line or re.search(r"(19|20)\d\d", before), f"{name}: {f.name}: {line}"
            named = named or bool(re.search(r"[A-Z]\w+ (19|20)\d\d", line))


def test_a_choice_of_a_real_loss_is_told_with_arxiv_and_year():
    losses = next(f for f in dataclasses.fields(GANConfig) if f.name == "loss").metadata["choices"]
    by_itself = [line for line in losses.values() if "ibid" not in line and "the same" not in line]
    assert len(losses) == 14 and all(re.search(r"(19|20)\d\d, arXiv \d{4}\.\d{4,5}", line) for line in by_itself)


def test_an_option_again_keeps_help_and_limits():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Base:
        rate: float = option(1.0, "a rate (Somebody 1999)", low=0.0)

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Other(Base):
        rate: float = again(Base, "rate", 2.0, "1 there")

    (found,) = dataclasses.fields(Other)
    assert Other().rate == 2.0 and dict(found.metadata) == {"help": "a rate (Somebody 1999) (1 there)", "low": 0.0}
    with pytest.raises(TypeError, match="has no option 'speed'; it has rate"):
        again(Base, "speed", 1.0)
