/**
 * The grammar of `.obert` recipes for tree-sitter: what `grammar/obert.pest` accepts, without its rules for malformed
 * statements. The compiler's grammar tries alternatives in order and looks ahead; `src/scanner.c` makes these decisions
 * in the same way, so that no rule here is ambiguous.
 */

const UNITS = [
  "%", "epochs", "epoch", "steps", "step", "bytes", "byte",
  "KiB", "MiB", "GiB", "TiB", "KB", "MB", "GB", "TB",
];

module.exports = grammar({
  name: "obert",

  externals: $ => [
    // Of no width: the kind of the statement that begins here.
    $._edition_ahead,
    $._import_ahead,
    $._parameter_ahead,
    $._binding_ahead,
    $._setting_ahead,
    $._re_ahead,
    $._in,
    // Never emitted. All tokens are valid during error recovery, and only then is this one.
    $._error_sentinel,
  ],

  extras: $ => [/[ \t]/, $.comment],

  word: $ => $.identifier,

  rules: {
    source_file: $ => seq(
      repeat($._newline),
      repeat(seq($._item, repeat1($._newline))),
      optional($._item),
    ),

    _item: $ => choice($.edition, $.import, $.parameter, $.binding, $.statement),

    edition: $ => seq($._edition_ahead, "edition", $.number),

    import: $ => seq(
      $._import_ahead,
      "use",
      field("from", choice($.string, $.name)),
      optional($.imported),
    ),
    // One token, so that the dot is not taken for another part of the name.
    imported: $ => seq(
      alias(/\.[ \t]*\{/, ".{"),
      repeat($._newline),
      optional(seq(
        $.identifier,
        repeat($._newline),
        repeat(seq(",", repeat($._newline), $.identifier, repeat($._newline))),
        optional(seq(",", repeat($._newline))),
      )),
      "}",
    ),

    parameter: $ => seq(
      $._parameter_ahead,
      "param",
      field("name", $.identifier),
      ":",
      field("type", $.identifier),
      // A default does not begin with `in`.
      optional(seq("=", choice(field("default", $.value), seq($._in, $._error_sentinel)))),
      optional(seq(alias($._in, "in"), field("range", $._range))),
    ),

    binding: $ => seq(
      $._binding_ahead,
      "let",
      field("name", $.identifier),
      "=",
      field("value", $.value),
    ),

    // `verb operands { … }`
    statement: $ => seq(
      choice(
        field("verb", $.identifier),
        // Before a quote, and at the start of a statement only, `re` is a verb and what follows a string.
        seq($._re_ahead, field("verb", alias("re", $.identifier))),
      ),
      repeat($._ramp),
      optional(field("body", $.block)),
    ),

    block: $ => seq(
      "{",
      repeat($._separator),
      repeat(seq($._member, repeat1($._separator))),
      optional($._member),
      "}",
    ),
    _member: $ => choice($.parameter, $.setting, $.statement),
    _separator: $ => choice($._newline, ","),

    setting: $ => seq($._setting_ahead, field("key", $.value), ":", field("value", $.value)),

    value: $ => repeat1($._ramp),

    _ramp: $ => choice($.ramp, $._range),
    ramp: $ => seq($._range, "->", $._range),
    _range: $ => choice($.range, $._sum),
    range: $ => seq($._sum, "..", $._sum),
    _sum: $ => choice($.sum, $._product),
    sum: $ => prec.left(1, seq($._sum, choice("+", "-"), $._product)),
    _product: $ => choice($.product, $._unary),
    product: $ => prec.left(1, seq($._product, choice("*", "/"), $._unary)),
    _unary: $ => choice($.negation, $._primary),
    negation: $ => seq("-", $._primary),
    _primary: $ => choice($.quantity, $.regex, $.string, $.call, $.name, $.list, $.parenthesized),

    quantity: $ => seq($.number, optional($.unit)),
    unit: _ => choice(...UNITS),

    call: $ => prec(1, seq(
      field("function", $.identifier),
      "(",
      repeat($._newline),
      optional(seq(
        $.argument,
        repeat($._newline),
        repeat(seq(",", repeat($._newline), $.argument, repeat($._newline))),
        optional(seq(",", repeat($._newline))),
      )),
      ")",
    )),
    argument: $ => seq(
      optional(seq(field("name", $.identifier), ":", repeat($._newline))),
      field("value", $.value),
    ),

    list: $ => seq(
      "[",
      repeat($._newline),
      optional(seq(
        $.value,
        repeat($._newline),
        repeat(seq(",", repeat($._newline), $.value, repeat($._newline))),
        optional(seq(",", repeat($._newline))),
      )),
      "]",
    ),

    parenthesized: $ => seq("(", repeat($._newline), $._ramp, repeat($._newline), ")"),

    name: $ => seq($.identifier, repeat(seq(".", $.identifier))),

    string: $ => seq(
      '"',
      repeat(choice(token.immediate(prec(1, /[^"\\\n\r]+/)), $.escape)),
      token.immediate('"'),
    ),
    escape: _ => token.immediate(/\\["\\nt]/),
    regex: _ => /re"([^"\\\n\r]|\\[^\n\r])*"/,

    identifier: _ => /[A-Za-z_][A-Za-z0-9_]*/,
    number: _ => /[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][+-]?[0-9]+)?/,

    comment: _ => token(prec(-1, /#[^\n\r]*/)),
    _newline: _ => /\n|\r\n|\r/,
  },
});
