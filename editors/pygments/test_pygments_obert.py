"""Run with `python -m unittest` in this folder; needs Pygments."""

import pathlib
import unittest

from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

from pygments_obert import ObertLexer

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tokens(text):
    return list(ObertLexer(stripnl=False).get_tokens(text))


class Colours(unittest.TestCase):
    def test_every_recipe_has_tokens_without_errors_and_its_own_text(self):
        recipes = [*ROOT.glob("stdlib_recipes/**/*.obert"), *ROOT.glob("tests/corpus/**/*.obert")]
        self.assertGreater(len(recipes), 150)
        for path in recipes:
            text = path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\r", "\n")
            found = tokens(text)
            self.assertEqual("".join(part for _, part in found).rstrip("\n"), text.lstrip("\ufeff").rstrip("\n"), path)
            self.assertNotIn(Error, {kind for kind, _ in found}, path)

    def test_tokens_have_their_kinds(self):
        text = 'edition 2026\n## A.\nuse std.bert.{a,\n b}\nparam x: ratio = 9% in 1..2\nrecipe r for 2 epochs {\n' \
               '  prune a { by: obs(damp:\n 1e-7), to: re"x" } # c\n  lr { 0..1 epochs: 1 -> 2 cubic }\n}\n'
        found = tokens(text)
        for expected in [
            (Keyword.Declaration, "edition"), (Comment.Special, "## A."), (Keyword.Type, "ratio"), (Number, "9"),
            (Operator.Word, "in"), (Name.Function, "r"), (Operator.Word, "for"), (Keyword.Type, "epochs"),
            (Keyword, "prune"), (Name.Attribute, "by"), (Name.Function, "obs"), (Name.Attribute, "damp"),
            (Number, "1e-7"), (String.Regex, 're"x"'), (Comment.Single, "# c"), (Keyword, "lr"), (Name.Builtin, "cubic"),
        ]:
            self.assertIn(expected, found)


if __name__ == "__main__":
    unittest.main()
