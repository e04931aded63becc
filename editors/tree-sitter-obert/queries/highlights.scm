; The later pattern wins where two match, as in Neovim and Helix.

(identifier) @variable
(name (identifier) @variable)

(comment) @comment
((comment) @comment.documentation
  (#match? @comment.documentation "^##"))

["edition" "use" "param" "let" "in"] @keyword
(statement verb: (identifier) @keyword)

; Words that join the operands of a statement.
(statement
  (name . (identifier) @keyword .)
  (#any-of? @keyword
    "for" "over" "every" "from" "extends" "layers" "except" "expect" "of" "after" "repeating"))
(value
  (name . (identifier) @keyword .)
  (#any-of? @keyword "of" "after" "repeating" "or" "except" "expect"))
(statement
  (name . (identifier) @constant.builtin .)
  (#any-of? @constant.builtin "teacher" "self" "start" "run"))

(statement
  verb: (identifier) @_declares
  . (name . (identifier) @function .)
  (#any-of? @_declares "recipe" "template" "stage" "branch"))

(setting key: (value (name . (identifier) @property .)))
(argument name: (identifier) @variable.parameter)
(parameter name: (identifier) @variable.parameter)
(parameter type: (identifier) @type)
(binding name: (identifier) @variable)
(imported (identifier) @variable)
(import from: (name (identifier) @module))
(call function: (identifier) @function.call)

(number) @number
(unit) @type
(string) @string
(escape) @string.escape
(regex) @string.regexp

["->" ".." "+" "-" "*" "/" "="] @operator
["," ":" "."] @punctuation.delimiter
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
