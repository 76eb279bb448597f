"""Messages as the store keeps them: a code and its values in JSON, so that they can be shown in any language."""

import json
from collections.abc import Mapping
from typing import Any

from orderctl.language import Said, _, english

_BEGINS = '{"code": '


def kept(message: str, templates: Mapping[str, str]) -> str:
    """The text that the store keeps. `templates` are by code; a message of none of them is kept in English."""
    form = _form(message, {template: code for code, template in templates.items()})
    return form if isinstance(form, str) else json.dumps(form)


def told(text: str, templates: Mapping[str, str]) -> str:
    """What `kept` made, as a message in the operator's language. Other text is unchanged."""
    try:
        return _told(json.loads(text), templates) if text.startswith(_BEGINS) else text
    except (ValueError, LookupError, TypeError):  # of a later version, or it only begins like one of ours
        return text


def _form(value: object, codes: Mapping[str, str]) -> object:
    """A value in JSON: a message with a code as an object, a number as itself, anything else as English text."""
    if isinstance(value, int):
        return value
    text = english(value) if isinstance(value, str) else str(value)
    template, values = (value.template, value.values) if isinstance(value, Said) else (text, {})
    if template not in codes:
        return text
    return {"code": codes[template], "values": {name: _form(each, codes) for name, each in values.items()}}


def _told(form: dict[str, Any], templates: Mapping[str, str]) -> str:
    values = {name: _told(each, templates) if isinstance(each, dict) else each for name, each in form["values"].items()}
    if type(why := values.get("why")) is str:
        values["why"] = _(why)  # a message of the C library is its own code
    return _(templates[form["code"]], **values)
