/* The C library against the recorded outputs of transformers and sentence-transformers; run by test.sh. */

#include "obert.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checks = 0;

#define CHECK(condition)                                                          \
  do {                                                                            \
    checks++;                                                                     \
    if (!(condition)) {                                                           \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);     \
      exit(1);                                                                    \
    }                                                                             \
  } while (0)

static char path[4096];

static const char *golden(const char *root, const char *name) {
  snprintf(path, sizeof path, "%s/tests/golden/%s", root, name);
  return path;
}

static obert_model *open_model(const char *root, const char *name) {
  obert_options options = {0};
  obert_error *error = NULL;
  options.threads = 2;
  obert_model *model = obert_open(golden(root, name), &options, &error);
  if (model == NULL) {
    fprintf(stderr, "%s\n%s\n", obert_error_message(error), obert_error_help(error));
    exit(1);
  }
  return model;
}

/* The first number behind `key` in a JSON text, from `*at` on, which is moved behind it. */
static double number(const char **at, const char *key) {
  const char *found = strstr(*at, key);
  CHECK(found != NULL);
  found += strlen(key);
  found += strspn(found, "\":[ ");
  char *end;
  double value = strtod(found, &end);
  CHECK(end != found);
  *at = end + strspn(end, ", ]");
  return value;
}

static bool near(double a, double b) { return fabs(a - b) < 2e-5; }

static bool has(const char *text, const char *part) { return strstr(text, part) != NULL; }

static void embeddings(const char *root, const char *recorded) {
  obert_model *model = open_model(root, "embeddings/model");
  const char *texts[] = {"w1", "w2 w6", "w5 w12 w6 w2 w0"};
  float out[3 * 8];
  CHECK(obert_dimension(model) == 8 && obert_max_length(model) == 16);
  CHECK(obert_embed(model, texts, 3, false, out, NULL));
  const char *at = strstr(recorded, "\"embeddings\"");
  for (int i = 0; i < 24; i++) {
    double expected = i == 0 ? number(&at, "\"embeddings\": [[") : strtod(at, (char **)&at);
    at += strspn(at, ", []");
    CHECK(near(out[i], expected));
  }
  CHECK(obert_embed(model, NULL, 0, false, NULL, NULL));
  obert_close(model);
}

static void labels(const char *root, const char *recorded) {
  obert_model *model = open_model(root, "heads/classifier");
  const char *texts[] = {"w1 w2", "w1 w2"};
  const char *pairs[] = {NULL, "w3"};
  char *json = obert_predict(model, texts, pairs, 2, false, NULL);
  CHECK(json != NULL && has(json, "\"label\":\"entailment\""));
  const char *got = strstr(json, "\"labels\"");
  const char *at = strstr(recorded, "\"labels\"");
  CHECK(near(number(&got, "\"entailment\""), number(&at, "\"entailment\"")));
  CHECK(near(number(&got, "\"neutral\""), number(&at, "\"neutral\"")));
  for (int i = 0; i < 3; i++) {
    (void)number(&at, "\"entailment\"");
  }
  got = strstr(strstr(got, "\"label\""), "\"labels\"");
  CHECK(near(number(&got, "\"entailment\""), number(&at, "\"entailment\"")));
  obert_string_free(json);
  obert_close(model);
}

static void ranks(const char *root, const char *recorded) {
  obert_model *model = open_model(root, "pipelines/reranker");
  const char *documents[] = {"w1 w2", "w3"};
  float scores[2], raw[2];
  CHECK(obert_rerank(model, "w1 w2", documents, 2, false, false, scores, NULL));
  CHECK(obert_rerank(model, "w1 w2", documents, 2, true, false, raw, NULL));
  const char *at = recorded;
  CHECK(near(scores[0], number(&at, "\"rerank\"")));
  CHECK(near(scores[1], strtod(at, NULL)));
  CHECK(near(raw[0], number(&at, "\"rerank_raw\"")));
  obert_close(model);
}

static void spans(const char *root, const char *recorded) {
  obert_model *tokens = open_model(root, "infer/heads/tokens");
  const char *texts[] = {"w1 w2"};
  char *json = obert_entities(tokens, texts, 1, false, NULL);
  CHECK(json != NULL && has(json, "\"label\":\"PER\",\"text\":\"w2\""));
  const char *got = json, *at = strstr(recorded, "\"entities\"");
  CHECK(near(number(&got, "\"score\""), number(&at, "\"score\"")));
  CHECK(number(&got, "\"start\"") == 3 && number(&got, "\"end\"") == 5);
  obert_string_free(json);
  obert_close(tokens);

  obert_model *reader = open_model(root, "bert/tiny");
  const char *questions[] = {"w1 w2"}, *contexts[] = {"w3 w4 w5 w6 w7"};
  json = obert_answer(reader, questions, contexts, 1, 3, NULL);
  CHECK(json != NULL && has(json, "[{\"answers\":[{\"answer\":\"w4 w5 w6\""));
  got = json;
  at = strstr(recorded, "\"answers\"");
  CHECK(near(number(&got, "\"score\""), number(&at, "\"score\"")));
  CHECK(near(number(&got, "\"no_answer\""), number(&at, "\"no_answer\"")));
  obert_string_free(json);
  obert_close(reader);
}

static void errors(const char *root) {
  obert_error *error = NULL;
  CHECK(obert_open("/no/such/model", NULL, &error) == NULL);
  CHECK(has(obert_error_code(error), "OB0") && has(obert_error_message(error), "/no/such/model"));
  CHECK(obert_error_input(error) == -1 && obert_error_help(error)[0] != 0);
  obert_error_free(error);
  CHECK(obert_open("/no/such/model", NULL, NULL) == NULL);
  CHECK(obert_open(NULL, NULL, &error) == NULL && has(obert_error_message(error), "`path` is NULL"));
  CHECK(strcmp(obert_error_code(error), "") == 0);
  obert_error_free(error);
  obert_options wrong = {0};
  wrong.precision = 7;
  CHECK(obert_open(golden(root, "bert/tiny"), &wrong, &error) == NULL && has(obert_error_message(error), "7"));
  obert_error_free(error);

  obert_model *model = open_model(root, "embeddings/model");
  char text[400] = "";
  for (int i = 0; i < 99; i++) {
    strcat(text, "w1 ");
  }
  const char *texts[] = {"w1", text, "\xff\xfe"};
  float out[3 * 8];
  for (int i = 0; i < 24; i++) {
    out[i] = 77;
  }
  CHECK(!obert_embed(model, texts, 2, false, out, &error));
  CHECK(strcmp(obert_error_code(error), "OB0968") == 0 && obert_error_input(error) == 1 && out[0] == 77);
  obert_error_free(error);
  CHECK(obert_embed(model, texts, 2, true, out, NULL) && out[0] != 77);
  CHECK(!obert_embed(model, texts, 3, true, out, &error));
  CHECK(obert_error_input(error) == 2 && has(obert_error_message(error), "UTF-8"));
  obert_error_free(error);
  texts[1] = NULL;
  CHECK(!obert_embed(model, texts, 2, true, out, &error) && has(obert_error_message(error), "`texts[1]` is NULL"));
  obert_error_free(error);
  CHECK(!obert_embed(NULL, texts, 1, true, out, NULL) && !obert_embed(model, texts, 1, true, NULL, NULL));
  CHECK(obert_predict(model, texts, NULL, 1, true, &error) == NULL);
  CHECK(strcmp(obert_error_code(error), "OB0969") == 0 && strcmp(obert_error_help(error), "call `embed`") == 0);
  obert_error_free(error);
  obert_close(model);
  obert_close(NULL);
  obert_error_free(NULL);
  obert_string_free(NULL);
}

struct work {
  const obert_model *model;
  float expected[8];
};

static void *embed_often(void *argument) {
  const struct work *work = argument;
  const char *texts[] = {"w2 w6"};
  for (int i = 0; i < 50; i++) {
    float out[8];
    CHECK(obert_embed(work->model, texts, 1, false, out, NULL));
    CHECK(memcmp(out, work->expected, sizeof out) == 0);
  }
  return NULL;
}

static void threads(const char *root) {
  obert_model *model = open_model(root, "embeddings/model");
  struct work work = {model, {0}};
  const char *texts[] = {"w2 w6"};
  CHECK(obert_embed(model, texts, 1, false, work.expected, NULL));
  pthread_t all[4];
  for (int i = 0; i < 4; i++) {
    CHECK(pthread_create(&all[i], NULL, embed_often, &work) == 0);
  }
  for (int i = 0; i < 4; i++) {
    CHECK(pthread_join(all[i], NULL) == 0);
  }
  obert_close(model);
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: test ROOT\n");
    return 2;
  }
  const char *root = arguments[1];
  FILE *file = fopen(golden(root, "pipelines/outputs.json"), "rb");
  static char recorded[1 << 16];
  CHECK(file != NULL && fread(recorded, 1, sizeof recorded - 1, file) > 0);
  fclose(file);
  CHECK(strlen(obert_version()) >= 5);
  embeddings(root, recorded);
  labels(root, recorded);
  ranks(root, recorded);
  spans(root, recorded);
  errors(root);
  threads(root);
  printf("%d checks passed with version %s\n", checks, obert_version());
  return 0;
}
