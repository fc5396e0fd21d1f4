"""Lines of a log that is read again and again are shown once."""

from roas.cli.logs import NewLines


def test_each_line_is_shown_once_and_none_from_before_the_first() -> None:
    new = NewLines()
    rounds = [
        ({"web-1": "2 b\n3 c"}, ["2 b", "3 c"]),
        ({"web-1": "1 a\n2 b\n3 c\n3 d\n4 e"}, ["3 d", "4 e"]),
        # A Swarm's next task has what the one before it wrote.
        ({"web-1": "4 e\n5 f"}, ["5 f"]),
        ({"web-2": "4 e\n5 f\n6 g"}, ["6 g"]),
        ({"web-2": "(its log cannot be read)"}, ["(its log cannot be read)"]),
    ]
    for texts, expected in rounds:
        assert [line for _name, line in new.of_round(texts)] == expected
