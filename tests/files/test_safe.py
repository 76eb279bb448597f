"""Names of files that are made from the ids of orders."""

from orderctl.files.safe import SafeNames


def test_names_are_given_once():
    names = SafeNames()
    assert [names.name(each, ".pdf") for each in ("a", "A", "a")] == ["a.pdf", "A~2.pdf", "a~3.pdf"]
