"""Recipes of obert (`.obert`) for Pygments."""

from pygments.lexer import RegexLexer, bygroups, default, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

__all__ = ["ObertLexer"]

WORD = r"[A-Za-z_]\w*"
CLAUSES = (
    "for", "extends", "from", "over", "every", "layers", "repeating", "except", "expect", "after", "or", "of", "in",
)
SHAPES = ("constant", "linear", "warmup", "cubic", "inverse_cubic", "cosine", "exponential", "polynomial")
UNITS = r"(%|(?:epochs?|steps?|bytes?|KiB|MiB|GiB|TiB|KB|MB|GB|TB)\b)"


class ObertLexer(RegexLexer):
    """For recipes of obert."""

    name = "obert"
    aliases = ["obert"]
    filenames = ["*.obert"]
    url = "https://arxiv.org/abs/2203.07259"
    version_added = ""

    tokens = {
        # The start of a statement.
        "root": [
            (r"\s+|,", Whitespace),
            (r"##.*", Comment.Special),
            (r"#.*", Comment.Single),
            (rf"(param)(\s+)({WORD})(\s*)(:)(\s*)({WORD})",
             bygroups(Keyword.Declaration, Whitespace, Name.Variable, Whitespace, Punctuation, Whitespace, Keyword.Type),
             "statement"),
            (rf"(let)(\s+)({WORD})", bygroups(Keyword.Declaration, Whitespace, Name.Variable), "statement"),
            (r"(edition|use)\b(?=\s)", Keyword.Declaration, "statement"),
            (rf"(recipe|template|stage|branch)(\s+)({WORD})",
             bygroups(Keyword.Declaration, Whitespace, Name.Function), "statement"),
            (rf"({WORD})([ \t]*)(:)", bygroups(Name.Attribute, Whitespace, Punctuation), "statement"),
            (WORD, Keyword, "statement"),
            (r"[{}]", Punctuation),
            default("statement"),
        ],
        # The rest of a statement, up to its end.
        "statement": [
            (r"\n", Whitespace, "#pop"),
            (r"[,{}]", Punctuation, "#pop"),
            (r"(\.)([ \t]*)(\{)", bygroups(Punctuation, Whitespace, Punctuation), "nested"),
            (r"[(\[]", Punctuation, "nested"),
            default("value"),
        ],
        "nested": [
            (r"[)\]}]", Punctuation, "#pop"),
            (r"[(\[]", Punctuation, "#push"),
            (r"[\n,]", Whitespace),
            default("value"),
        ],
        # One token.
        "value": [
            (r"##.*|#.*", Comment.Single, "#pop"),
            (r'\bre"(\\.|[^"\\\n])*"?', String.Regex, "#pop"),
            (r'"(\\.|[^"\\\n])*"?', String.Double, "#pop"),
            (rf"(\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)([ \t]*){UNITS}",
             bygroups(Number, Whitespace, Keyword.Type), "#pop"),
            (r"\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?", Number, "#pop"),
            (rf"{WORD}(?=[ \t]*:)", Name.Attribute, "#pop"),
            (rf"{WORD}(?=[ \t]*\()", Name.Function, "#pop"),
            (words(CLAUSES, prefix=r"\b", suffix=r"\b"), Operator.Word, "#pop"),
            (words(SHAPES, prefix=r"\b", suffix=r"\b"), Name.Builtin, "#pop"),
            (r"\b(true|false|teacher|self|start|run)\b", Keyword.Constant, "#pop"),
            (WORD, Name, "#pop"),
            (r"->|\.\.|[-+*/=]", Operator, "#pop"),
            (r"[:.]", Punctuation, "#pop"),
            (r"[ \t\r]+", Whitespace, "#pop"),
            (r".", Name, "#pop"),
        ],
    }
