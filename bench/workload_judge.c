/* SPDX-License-Identifier: BSD-3-Clause */
/* workload_judge.c - whether an answer is the right one: the type that its command has, and the
 * bytes that belong to its key. */
#include "workload.h"

#include <stdlib.h>
#include <string.h>

static enum verdict wrong(const struct command *c, const char *what, char why[WORKLOAD_WHY])
{
  snprintf(why, WORKLOAD_WHY, "wrong answer to %s %s: %s", c->argv[0], c->key, what);
  return VERDICT_WRONG;
}

static enum verdict judge_value(const struct workload *w, enum family family,
                                const struct command *c, const struct answer *a,
                                char why[WORKLOAD_WHY])
{
  const struct sizes *sizes = family == FAMILY_BIG ? &w->big_value : &w->value;

  if (a->type == ANSWER_NIL)
    return wrong(c, "nothing is there (--fill writes the keys)", why);
  if (a->type != ANSWER_TEXT)
    return wrong(c, "not a string", why);
  if (!sizes_contain(sizes, (long)a->len))
    return wrong(c, "a value of a size that is never written", why);
  if (memcmp(a->text, workload_value(w, family, c->index), a->len) != 0)
    return wrong(c, "another key's value, or no value of ours", why);
  return VERDICT_RIGHT;
}

int workload_element(const struct workload *w, enum family family, long index, const char *text,
                     size_t len, int64_t *ret_stamp)
{
  int64_t stamp = 0;

  if (len <= STAMP_SIZE || !sizes_contain(&w->value, (long)(len - STAMP_SIZE)))
    return 0;
  for (int i = 0; i < STAMP_SIZE; i++) {
    if (text[i] < '0' || text[i] > '9' || stamp > INT64_MAX / 10 - 1)
      return 0;
    stamp = stamp * 10 + (text[i] - '0');
  }
  *ret_stamp = stamp;
  return memcmp(text + STAMP_SIZE, workload_value(w, family, index), len - STAMP_SIZE) == 0;
}

static enum verdict judge_pop(const struct workload *w, const struct command *c,
                              const struct answer *a, char why[WORKLOAD_WHY])
{
  int64_t stamp;

  if (a->type != ANSWER_PAIR)
    return wrong(c, "not an array of two", why);
  if (a->len != c->len[1] || memcmp(a->text, c->key, a->len) != 0)
    return wrong(c, "another list's name", why);
  if (!workload_element(w, FAMILY_LIST, c->index, a->second, a->second_len, &stamp))
    return wrong(c, "another list's element, or no element of ours", why);
  return VERDICT_RIGHT;
}

static enum family family_of(enum kind kind)
{
  if (kind == KIND_BIG_GET || kind == KIND_BIG_SET || kind == KIND_BIG_READ)
    return FAMILY_BIG;
  return kind == KIND_TRANSACTION ? FAMILY_OWN : FAMILY_KEY;
}

enum verdict task_judge(const struct task *task, const struct workload *w, int i,
                        const struct answer *a, char why[WORKLOAD_WHY])
{
  const struct command *c = &task->commands[i];

  if (a->type == ANSWER_FAILURE) {
    snprintf(why, WORKLOAD_WHY, "%s: %.*s", c->argv[0], (int)(a->len < 400 ? a->len : 400),
             a->text);
    return VERDICT_FAILED;
  }
  switch (task->kind) {
  case KIND_POP:
    return judge_pop(w, c, a, why);
  case KIND_PUSH:
  case KIND_PUBLISH:
    if (a->type != ANSWER_NUMBER)
      return wrong(c, "not a number", why);
    return a->number > 0 ? VERDICT_RIGHT : wrong(c, "nobody got it", why);
  default:
    if (c->argc == 2)
      return judge_value(w, family_of(task->kind), c, a, why);
    return a->type == ANSWER_STATUS ? VERDICT_RIGHT : wrong(c, "not OK", why);
  }
}
