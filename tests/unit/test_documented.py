"""How the commands of a page are read, and how an answer is compared with what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documented import Typed, missing, typed

PAGE = """
```sh
one --x 'a # b'          # an explanation
two \\
  --more                 # → it answers …
# nothing to type
```

```
shown of two
```

```console
$ three
line
```

```toml
four = 4
```
"""


def test_a_page_is_read_as_commands_with_what_they_answer(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace(" # b", ""))
    assert typed(page) == [
        Typed(command="one --x 'a'", shown=()),
        Typed(command="two    --more", shown=("it answers …", "shown of two")),
        Typed(command="three", shown=("line",)),
    ]


@pytest.mark.parametrize(
    ("shown", "answer", "wanting"),
    [
        (("a   b", "c"), "a b\nx\nc\n", None),
        (("c", "a"), "a\nc\n", "a"),
        (("bound to the click of …",), "bound to the click of 2026-11-28", None),
        (("at 2026-11-28 00:39:23 (+2 s)",), "at 2027-01-02 23:59:00 (+1 min 3 s)", None),
        (
            (
                "  …",
                "clicks   1",
            ),
            "clicks   11",
            None,
        ),
        (("clicks   1  of",), "clicks   11  of", "clicks   1  of"),
        (("?start=EAAAAAACAaIgPHe-…",), "?start=" + "E" * 62, None),
        (("?start=EAAAAAACAaIgPHe-…",), "?start=", "?start=EAAAAAACAaIgPHe-…"),
        (("14345 bytes, whole",), "7 bytes, whole", None),
    ],
)
def test_an_answer_has_the_lines_of_the_page_in_their_order_but_for_times_ids_and_tokens(
    shown: tuple[str, ...], answer: str, wanting: str | None
) -> None:
    assert missing(shown, answer) == wanting
