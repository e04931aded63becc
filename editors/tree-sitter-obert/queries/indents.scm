[
  (block)
  (imported)
  (call)
  (list)
  (parenthesized)
] @indent.begin

[
  "}"
  ")"
  "]"
] @indent.branch @indent.end
