from typing import Literal

import pytest
import yaml

from labkit.config import Config, read
from labkit.errors import UsageError


class Inner(Config):
    width: int = 3


class Settings(Config):
    stage: Literal["sft"] = "sft"
    lr: float
    inner: Inner = Inner()
    adapter: Inner | None = None


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
        ({"lr": 1, "zzz": 1}, "unknown key 'zzz'; the keys are stage, lr, inner, adapter"),
        ({}, "the key 'lr' is missing"),
        ({"lr": "fast"}, "lr = 'fast'"),
        ({"lr": 1, "stage": "rl"}, "stage = 'rl'"),
    ],
)
def test_a_fault_names_the_file_the_key_and_the_nearest_right_one(data, message):
    with pytest.raises(UsageError) as caught:
        Settings.parse(data, "my.yaml")
    assert str(caught.value).startswith("my.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


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
