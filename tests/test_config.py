import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

import pytest
import yaml
from pydantic import Field, ValidationInfo, field_validator

from labkit.config import Config, read
from labkit.envs.games import load
from labkit.errors import UsageError
from labkit.training import stages


class Inner(Config):
    width: int = Field(3, ge=1)


class Settings(Config):
    stage: Literal["sft"] = "sft"
    lr: float = Field(gt=0)
    inner: Inner = Inner()
    adapter: Inner | None = None
    several: tuple[Inner, ...] = ()
    layers: Literal["all"] | tuple[str, ...] = "all"
    options: dict[str, str | int] = {}
    part_lr: dict[Literal["vision", "language"], Annotated[float, Field(gt=0)]] = {}
    betas: tuple[float, float] = (0.9, 0.95)
    warm: bool = False
    batch: int = 8
    group: int = 2
    name: str = Field("a", max_length=3)
    steps: int | None = Field(None, validate_default=True)

    @field_validator("group")
    @classmethod
    def _divides(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("batch", value) % value:
            raise ValueError(f"8 episodes cannot be divided into groups of {value}")
        return value

    @field_validator("steps")
    @classmethod
    def _given(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None and info.data.get("warm"):
            raise ValueError("warm needs steps")
        return value


def test_a_file_gives_its_values_and_defaults_fill_the_rest(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("lr: 1.0e-3\ninner: {width: 5}\n")
    settings = Settings.parse(read(path), str(path))
    assert (settings.lr, settings.inner.width, settings.stage) == (1e-3, 5, "sft")


def test_the_resolved_config_reads_back_as_itself():
    settings = Settings(lr=0.5)
    assert Settings.parse(yaml.safe_load(settings.to_yaml())) == settings


def test_overrides_reach_into_sections(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("lr: 1\n")
    assert Settings.parse(read(path, ["lr=2", "inner.width=7"])) == Settings(lr=2, inner=Inner(width=7))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"lr": 1, "stagee": "sft"}, "unknown key 'stagee'; did you mean 'stage'?"),
        ({"lr": 1, "inner": {"widht": 1}}, "unknown key 'inner.widht'; did you mean 'width'?"),
        ({"lr": 1, "adapter": {"wdth": 1}}, "unknown key 'adapter.wdth'; did you mean 'width'?"),
        ({"lr": 1, "several": [{}, {"widht": 1}]}, "unknown key 'several.1.widht'; did you mean 'width'?"),
        ({"lr": 1, "inner": {"zzz": 1}}, "unknown key 'inner.zzz'; the keys are width"),
        ({"lr": 1, "inner": {7: 1}}, "unknown key 'inner.7'; the keys are width"),
        ({"lr": 1, "part_lr": {"vison": 1}}, "unknown key 'part_lr.vison'; it must be 'vision' or 'language'"),
        ({}, "the key 'lr' is missing"),
        ({"lr": 1, "betas": [0.9]}, "the value 'betas.1' is missing"),
        ({"lr": 1, "betas": [0.9, 0.9, 0.9]}, "betas = [0.9, 0.9, 0.9]: must be a list of at most 2"),
        ({"lr": "fast"}, "lr = 'fast': must be a number"),
        ({"lr": None}, "lr: must be a number"),
        ({"lr": 0}, "lr = 0: must be more than 0"),
        ({"lr": 1, "part_lr": {"vision": -1}}, "part_lr.vision = -1: must be more than 0"),
        ({"lr": 1, "inner": {"width": 0}}, "inner.width = 0: must be at least 1"),
        ({"lr": 1, "inner": {"width": 1.5}}, "inner.width = 1.5: must be a whole number"),
        ({"lr": 1, "adapter": 5}, "adapter = 5: must be a mapping of keys to values"),
        ({"lr": 1, "several": 5}, "several = 5: must be a list"),
        ({"lr": 1, "warm": "maybe"}, "warm = 'maybe': must be true or false"),
        ({"lr": 1, "stage": "rl"}, "stage = 'rl': must be 'sft'"),
        ({"lr": 1, "layers": 3}, "layers = 3: must be 'all' or a list"),
        ({"lr": 1, "layers": {"a": 3}}, "layers = {'a': 3}: must be 'all' or a list"),
        ({"lr": 1, "layers": ["a", 3]}, "layers.1 = 3: must be text"),
        ({"lr": 1, "options": {"gpus": [1]}}, "options.gpus = [1]: must be text or a whole number"),
        ({"lr": 1, "options": list(range(50))}, "options: must be a mapping of keys to values"),
        ({"lr": 1, "group": 3}, "group = 3: 8 episodes cannot be divided into groups of 3"),
        ({"lr": 1, "warm": True}, "steps: warm needs steps"),
        ({"lr": 0, "inner": {"width": 0}}, "lr = 0: must be more than 0"),
    ],
)
def test_a_fault_names_the_file_the_key_and_what_the_key_must_hold(data, message):
    with pytest.raises(UsageError) as caught:
        Settings.parse(data, "my.yaml")
    assert str(caught.value) == f"my.yaml: {message}"


def settings_of(cls: type[Config], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of a config's keys, also of those in its sections."""
    for key, field in cls.model_fields.items():
        yield (*path, key)
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, Config):
                yield from settings_of(inner, (*path, key))


@pytest.mark.parametrize("stage", stages.STAGES)
def test_no_error_of_a_setting_names_a_type_of_python(stage):
    """Values of wrong types at every key of a stage: the message names the key, and speaks of numbers, text, lists."""
    faults = 0
    for path in settings_of(load(stages.STAGES[stage].config)):
        for value in ("?", -1, 1.5, True, [1, {}, 2], {"?": {"?": 1}}, float("inf")):
            data = {"stage": stage, "lr": 1e-3, "updates": 1, "steps": 1, "cell": "gp-l", "model": "tiny:base"}
            data = {key: data[key] for key in data if key in load(stages.STAGES[stage].config).model_fields}
            for key in reversed(path):
                value = {key: value}
            try:
                stages.parse({**data, **value}, "my.yaml")
            except UsageError as error:
                faults += 1
                if path != ("stage",):
                    assert ".".join(path) in str(error)
                assert not re.search("Value error|[Ii]nput|should|valid|integer|tuple|str|dict|bool", str(error)), error
    assert faults > 100


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("[1, 2]", [], "holds no keys"),
        ("a: [", [], "is not YAML"),
        ("lr: 1", ["lr"], "write key=value"),
        ("lr: 1", ["lr.deep=2"], "not a section"),
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path, text, override, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read(path, override)
    assert "\n" not in str(caught.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    (tmp_path / "init.yaml").write_text("lr: 1")
    with pytest.raises(UsageError, match=r"did you mean .*init\.yaml\?"):
        read(tmp_path / "inti.yaml")
