// Decisions that look ahead within a statement, as `grammar/obert.pest` makes them: which words are keywords,
// and whether a statement in a block is a setting. Nothing is remembered between tokens.

#include "tree_sitter/parser.h"

#include <string.h>

enum Token { EDITION, IMPORT, PARAMETER, BINDING, SETTING, RE, IN, ERROR_SENTINEL };

// The deepest nesting of brackets that the compiler accepts.
enum { DEEPEST = 64 };

static bool is_letter(int32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(int32_t c) { return c >= '0' && c <= '9'; }
static bool is_blank(int32_t c) { return c == ' ' || c == '\t'; }
static bool is_line_end(int32_t c) { return c == '\n' || c == '\r'; }

static void skip_blanks(TSLexer *lexer) {
  while (is_blank(lexer->lookahead)) lexer->advance(lexer, false);
}

static bool skip_word(TSLexer *lexer) {
  if (!is_letter(lexer->lookahead)) return false;
  while (is_letter(lexer->lookahead) || is_digit(lexer->lookahead)) lexer->advance(lexer, false);
  return true;
}

// Skips a comment, from `#` to the end of its line.
static void skip_comment(TSLexer *lexer) {
  while (!lexer->eof(lexer) && !is_line_end(lexer->lookahead)) lexer->advance(lexer, false);
}

// Skips a string; the lexer is at its first quote.
static bool skip_string(TSLexer *lexer) {
  lexer->advance(lexer, false);
  for (;;) {
    if (lexer->eof(lexer) || is_line_end(lexer->lookahead)) return false;
    int32_t c = lexer->lookahead;
    lexer->advance(lexer, false);
    if (c == '"') return true;
    if (c == '\\') {
      if (lexer->eof(lexer) || is_line_end(lexer->lookahead)) return false;
      lexer->advance(lexer, false);
    }
  }
}

// Whether a colon follows before the end of the statement, outside brackets and strings.
static bool colon_ahead(TSLexer *lexer) {
  unsigned depth = 0;
  while (!lexer->eof(lexer)) {
    int32_t c = lexer->lookahead;
    if (c == '"') {
      if (!skip_string(lexer)) return false;
      continue;
    }
    if (c == '(' || c == '[') {
      if (++depth > DEEPEST) return false;
    } else if (depth > 0) {
      if (c == ')' || c == ']') depth--;
      if (c == '#') {
        skip_comment(lexer);
        continue;
      }
    } else {
      if (c == ':') return true;
      if (c == ',' || c == '{' || c == '}' || c == ')' || c == ']' || c == '#' || is_line_end(c)) return false;
    }
    lexer->advance(lexer, false);
  }
  return false;
}

void *tree_sitter_obert_external_scanner_create(void) { return NULL; }
void tree_sitter_obert_external_scanner_destroy(void *payload) { (void)payload; }
unsigned tree_sitter_obert_external_scanner_serialize(void *payload, char *buffer) {
  (void)payload;
  (void)buffer;
  return 0;
}
void tree_sitter_obert_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
  (void)payload;
  (void)buffer;
  (void)length;
}

static bool emit(TSLexer *lexer, enum Token token) {
  lexer->result_symbol = token;
  return true;
}

bool tree_sitter_obert_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid) {
  (void)payload;
  if (valid[EDITION] && valid[IN]) return false; // error recovery
  if (!(valid[EDITION] || valid[PARAMETER] || valid[IN] || valid[SETTING] || valid[RE])) return false;
  while (is_blank(lexer->lookahead)) lexer->advance(lexer, true);
  lexer->mark_end(lexer);

  char word[8] = {0};
  unsigned length = 0;
  while (is_letter(lexer->lookahead) || (length > 0 && is_digit(lexer->lookahead))) {
    if (length < sizeof word - 1) word[length] = (char)lexer->lookahead;
    length++;
    lexer->advance(lexer, false);
  }
  if (length >= sizeof word) word[0] = 0;
  if (valid[IN]) {
    lexer->mark_end(lexer);
    return strcmp(word, "in") == 0 && emit(lexer, IN);
  }
  bool top = valid[EDITION];
  if (top && strcmp(word, "edition") == 0) {
    skip_blanks(lexer);
    return is_digit(lexer->lookahead) && emit(lexer, EDITION);
  }
  if (top && strcmp(word, "use") == 0) {
    skip_blanks(lexer);
    return (is_letter(lexer->lookahead) || lexer->lookahead == '"') && emit(lexer, IMPORT);
  }
  if (top && strcmp(word, "let") == 0) {
    skip_blanks(lexer);
    if (!skip_word(lexer)) return false;
    skip_blanks(lexer);
    return lexer->lookahead == '=' && emit(lexer, BINDING);
  }
  if (valid[PARAMETER] && strcmp(word, "param") == 0) {
    skip_blanks(lexer);
    bool named = skip_word(lexer);
    skip_blanks(lexer);
    if (named && lexer->lookahead == ':') {
      // Whatever follows the type.
      lexer->advance(lexer, false);
      skip_blanks(lexer);
      if (is_letter(lexer->lookahead)) return emit(lexer, PARAMETER);
      return valid[SETTING] && emit(lexer, SETTING);
    }
  }
  bool is_re = strcmp(word, "re") == 0 && lexer->lookahead == '"';
  if (valid[SETTING] && colon_ahead(lexer)) return emit(lexer, SETTING);
  return is_re && valid[RE] && emit(lexer, RE);
}
