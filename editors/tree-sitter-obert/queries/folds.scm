[
  (block)
  (imported)
  (call)
  (list)
] @fold
