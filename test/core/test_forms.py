import pytest

from sertk.core.errors import SertkError
from sertk.core.forms import NUMBER, check_form

WORDS = "a whole number", "a number", "null"
FORM = {"name": str, "rows": [{"value": (*NUMBER, None)}], "counts?": {str: int}}


@pytest.mark.parametrize(
    "value", [{"name": "a", "rows": []}, {"name": "", "rows": [{"value": None, "x": 1}], "counts": {"b": 2}, "y": 3}]
)
def test_values_of_a_shape_pass(value):
    check_form(value, FORM, "a.json", "make it again")


@pytest.mark.parametrize(
    "value, wrong",
    [
        ([], "it is [], expected a mapping"),
        ({"name": "a"}, "rows is missing"),
        ({"name": "a", "rows": [], "counts": {"b": 2**63}}, f"counts.b is {2**63}, expected a whole number"),
        ({"name": 1, "rows": []}, "name is 1, expected text (in quotes, if that is its name)"),
        ({"name": "a", "rows": {}}, "rows is {}, expected a list"),
        ({"name": "a", "rows": [{"value": 1}, {}]}, "rows[2].value is missing"),
        (
            {"name": "a", "rows": [{"value": True}]},
            "rows[1].value is true, expected a whole number or a number or null",
        ),
        ({"name": "a", "rows": [], "counts": {"b": 1.5}}, "counts.b is 1.5, expected a whole number"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(value, wrong):
    with pytest.raises(SertkError) as refused:
        check_form(value, FORM, "a.json", "make it again")
    assert str(refused.value) == f"a.json: damaged: {wrong}; make it again"
