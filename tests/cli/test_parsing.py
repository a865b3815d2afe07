from __future__ import annotations

import pytest

from fedn_lightning.cli.parsing import arguments_of, did_you_mean, explain, explain_reference, explain_setup

NESTED = """Parser key "data":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'lightning.pytorch.core.datamodule.LightningDataModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'toys.ToyData':
        Parser key "test_subject":
          Expected a <class 'list'>. Got value: 3
    - Expected a <class 'NoneType'>
  Given value type: <class 'dict'>
  Given value: {'class_path': 'ToyData', 'init_args': {'test_subject': 3}}"""

NULL = """Parser key "model":
  Errors:
    - Problem with given class_path 'toys.ToyTask':
        Parser key "network.reach":
          Does not validate against any of the Union subtypes
          Subtypes: [<class 'int'>, <class 'NoneType'>]
          Errors:
            - Expected a <class 'int'>
            - Expected a <class 'NoneType'>
          Given value type: <class 'str'>
          Given value: {given}
    - Expected a <class 'NoneType'>
  Given value type: <class 'jsonargparse._util.NestedArg'>
  Given value: NestedArg(key='network.reach', val=None)"""


def test_the_innermost_key_is_named() -> None:
    assert explain(NESTED) == 'The configuration key "data.test_subject" must be of type list, not 3.'


def test_null_that_the_parser_makes_text_of_is_sent_to_a_file() -> None:
    report = NULL.format(given="None")
    assert '"model.network.reach" takes null from a file alone: write reach: null there' in explain(report)
    assert explain(NULL.format(given="abc")).endswith("must be of type int, not abc.")


def test_what_is_not_understood_is_passed_on_in_one_line() -> None:
    assert explain("first\n  second   thing\n") == "first; second thing."


def test_every_report_becomes_one_sentence() -> None:
    assert explain("") == "The configuration cannot be read."
    for report in (NESTED, "Parser key \"config\": File does not exist: 'x'", "unrecognized arguments: --a b"):
        sentence = explain(report)
        assert "\n" not in sentence
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("name", "hint"), [("max_epoch", '; did you mean "max_epochs"?'), ("zebra", "."), ("", ".")], ids=str
)
def test_suggestions(name: str, hint: str) -> None:
    assert did_you_mean(name, ["max_epochs", "min_epochs"]) == hint


def test_arguments_of_something_that_is_not_there() -> None:
    assert arguments_of("no.such.Class") == []
    assert arguments_of("toys.ToyTask") == ["width", "lr", "flavour", "fail_at", "weights"]


def test_a_reference_without_a_key() -> None:
    assert explain_reference(None, "Something else\nmore") == (
        "The configuration holds a reference that cannot be resolved: Something else."
    )


def test_the_trainers_complaints_keep_their_words() -> None:
    assert explain_setup("No `test_dataloader()`\nmethod defined!") == "No `test_dataloader()` method defined."


def test_a_key_whose_prefix_the_parser_took_off_is_given_back_its_meaning() -> None:
    said = explain("unrecognized arguments: --crops.sise=3", {"trainer.max_epochs", "data"})
    assert "meant for model.crops.sise or data.crops.sise" in said
    assert "meant for" not in explain("unrecognized arguments: --trainer.max_epoch 3", {"trainer.max_epochs"})
