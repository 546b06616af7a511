/* SPDX-License-Identifier: BSD-3-Clause */
/* workload_draw.c - what callers do: dice, keys, sizes, values, and commands made of them. Making a
 * command copies nothing but the key's name, so that drawing costs next to nothing beside a call.
 */
#include "workload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where values begin is spread over so many bytes: few enough to stay in a processor's cache. */
enum { WINDOW = 1 << 16 };

/* ---- dice ---- */

static uint64_t mix(uint64_t x)
{
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

uint64_t dice_of(uint64_t seed, int place)
{
  return mix(mix(seed) + (uint64_t)place);
}

uint64_t dice_roll(uint64_t *dice)
{
  uint64_t x = *dice;

  *dice += UINT64_C(0x9e3779b97f4a7c15);
  return mix(x);
}

double dice_share(uint64_t *dice)
{
  return (double)(dice_roll(dice) >> 11) * 0x1p-53;
}

static long below(uint64_t *dice, long n)
{
  return (long)(dice_share(dice) * (double)n);
}

/* ---- keys: Walker's alias method, one look-up for any distribution ---- */

struct alias {
  float keep;     /* of those who come here, so many stay */
  uint32_t other; /* the rest goes there */
};

/* Pairs each place that has too little with one that has too much (Vose's way, which is exact).
 * share: of n, the mean is 1. */
static void pair_up(struct alias *alias, double *share, uint32_t *stack, uint32_t n)
{
  uint32_t small = 0, large = n, poor, rich;

  for (uint32_t i = 0; i < n; i++)
    stack[share[i] < 1 ? small++ : --large] = i;
  while (small > 0 && large < n) {
    poor = stack[--small];
    rich = stack[large];
    alias[poor] = (struct alias){(float)share[poor], rich};
    share[rich] -= 1 - share[poor];
    if (share[rich] < 1) {
      large++;
      stack[small++] = rich;
    }
  }
  while (small > 0) {
    poor = stack[--small];
    alias[poor] = (struct alias){1, poor};
  }
  for (; large < n; large++)
    alias[stack[large]] = (struct alias){1, stack[large]};
}

static struct alias *make_alias(long keys, double skew)
{
  size_t n = (size_t)keys;
  struct alias *alias = malloc(n * sizeof *alias);
  double *share = malloc(n * sizeof *share), sum = 0;
  uint32_t *stack = malloc(n * sizeof *stack);

  if (alias && share && stack) {
    for (size_t i = 0; i < n; i++)
      sum += share[i] = pow((double)(i + 1), -skew);
    for (size_t i = 0; i < n; i++)
      share[i] *= (double)n / sum;
    pair_up(alias, share, stack, (uint32_t)n);
  } else {
    free(alias);
    alias = NULL;
  }
  free(share);
  free(stack);
  return alias;
}

long workload_draw_key(const struct workload *w, uint64_t *dice)
{
  long i = below(dice, w->keys);

  if (w->alias && dice_share(dice) >= (double)w->alias[i].keep)
    return (long)w->alias[i].other;
  return i;
}

/* ---- sizes ---- */

long sizes_draw(const struct sizes *sizes, uint64_t *dice)
{
  double share = sizes->n > 1 ? dice_share(dice) : 0;
  int i = 0;

  while (i + 1 < sizes->n && share >= sizes->part[i].upto)
    i++;
  if (sizes->part[i].low == sizes->part[i].high)
    return sizes->part[i].low;
  return sizes->part[i].low + below(dice, sizes->part[i].high - sizes->part[i].low + 1);
}

int sizes_contain(const struct sizes *sizes, long size)
{
  for (int i = 0; i < sizes->n; i++) {
    if (sizes->part[i].weight > 0 && size >= sizes->part[i].low && size <= sizes->part[i].high)
      return 1;
  }
  return 0;
}

static long largest(const struct sizes *sizes)
{
  long most = 0;

  for (int i = 0; i < sizes->n; i++)
    most = sizes->part[i].high > most ? sizes->part[i].high : most;
  return most;
}

/* ---- names and values ---- */

size_t workload_name(const struct workload *w, enum family family, long index, char buf[KEY_SIZE])
{
  static const char letters[] = {'k', 'b', 'o', 'l', 'c'};
  size_t len = strlen(w->prefix);
  char *digits = buf + len + 2;

  memcpy(buf, w->prefix, len);
  buf[len] = letters[family];
  buf[len + 1] = ':';
  for (int i = 7; i >= 0; i--) {
    digits[i] = (char)('0' + index % 10);
    index /= 10;
  }
  digits[8] = '\0';
  return len + 2 + 8;
}

const char *workload_value(const struct workload *w, enum family family, long index)
{
  return w->bytes + mix((uint64_t)index << 3 | family) % WINDOW;
}

/* Letters, the same in every lap and every program: values of one are read by others. */
static char *make_bytes(size_t size)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  char *bytes = malloc(size);
  uint64_t dice = 1, roll = 0;

  for (size_t i = 0; bytes && i < size; i++) {
    if (i % 10 == 0)
      roll = dice_roll(&dice);
    bytes[i] = letters[roll & 63];
    roll >>= 6;
  }
  return bytes;
}

int workload_make(struct workload *w)
{
  long big = largest(&w->big_value);

  w->longest = largest(&w->value);
  if ((w->big > 0 || w->big_readers > 0) && big > w->longest)
    w->longest = big;
  w->bytes = make_bytes(WINDOW + (size_t)w->longest);
  w->alias = w->skew > 0 ? make_alias(w->keys, w->skew) : NULL;
  if (w->bytes && (w->alias || !(w->skew > 0)))
    return 0;
  workload_free(w);
  return -1;
}

void workload_free(struct workload *w)
{
  free(w->bytes);
  free(w->alias);
  w->bytes = NULL;
  w->alias = NULL;
}

/* ---- tasks ---- */

static const char *const kind_names[KINDS] = {"get",     "set",         "big-get", "big-set",
                                              "batch",   "transaction", "push",    "pop",
                                              "publish", "message",     "big-read"};

const char *kind_name(enum kind kind)
{
  return kind_names[kind];
}

int task_init(struct task *task, const struct workload *w)
{
  int n = w->batch > 0 && w->batch_size > 2 ? (int)w->batch_size : 2;

  task->n = n;
  task->commands = calloc((size_t)n, sizeof *task->commands);
  task->element = NULL;
  if (w->pushes > 0 || w->publishes > 0)
    task->element = malloc(STAMP_SIZE + (size_t)largest(&w->value));
  if (task->commands && (task->element || !(w->pushes > 0 || w->publishes > 0)))
    return 0;
  task_free(task);
  return -1;
}

void task_free(struct task *task)
{
  free(task->commands);
  free(task->element);
  task->commands = NULL;
  task->element = NULL;
}

static void make(struct command *c, const struct workload *w, const char *verb, enum family family,
                 long index)
{
  c->argc = 2;
  c->index = index;
  c->argv[0] = verb;
  c->len[0] = strlen(verb);
  c->argv[1] = c->key;
  c->len[1] = workload_name(w, family, index, c->key);
}

static void add(struct command *c, const char *value, size_t len)
{
  c->argc = 3;
  c->argv[2] = value;
  c->len[2] = len;
}

/* 1: a GET, 0: a SET. */
static int make_ordinary(struct command *c, const struct workload *w, uint64_t *dice,
                         enum family family)
{
  int read = dice_share(dice) * 100 < w->reads;
  long index = family == FAMILY_BIG ? below(dice, BIG_KEYS) : workload_draw_key(w, dice);

  make(c, w, read ? "GET" : "SET", family, index);
  if (!read)
    add(c, workload_value(w, family, index),
        (size_t)sizes_draw(family == FAMILY_BIG ? &w->big_value : &w->value, dice));
  return read;
}

static void make_element(struct task *task, const struct workload *w, uint64_t *dice,
                         enum family family)
{
  int push = family == FAMILY_LIST;
  long channels = w->subscribers < CHANNELS ? w->subscribers : CHANNELS;
  long index = below(dice, push ? w->blocked : channels);
  long len = sizes_draw(&w->value, dice);

  task->kind = push ? KIND_PUSH : KIND_PUBLISH;
  make(task->commands, w, push ? "RPUSH" : "PUBLISH", family, index);
  memcpy(task->element + STAMP_SIZE, workload_value(w, family, index), (size_t)len);
  add(task->commands, task->element, STAMP_SIZE + (size_t)len);
}

static void make_transaction(struct task *task, const struct workload *w, uint64_t *dice, int place)
{
  task->kind = KIND_TRANSACTION;
  task->n = 2;
  make(&task->commands[0], w, "GET", FAMILY_OWN, place);
  make(&task->commands[1], w, "SET", FAMILY_OWN, place);
  add(&task->commands[1], workload_value(w, FAMILY_OWN, place),
      (size_t)sizes_draw(&w->value, dice));
}

static void make_batch(struct task *task, const struct workload *w, uint64_t *dice)
{
  task->kind = KIND_BATCH;
  task->n = (int)w->batch_size;
  for (int i = 0; i < task->n; i++)
    make_ordinary(&task->commands[i], w, dice, FAMILY_KEY);
}

void task_draw(struct task *task, const struct workload *w, uint64_t *dice, int place)
{
  double share = dice_share(dice) * 100;

  task->n = 1;
  if ((share -= w->transactions) < 0)
    make_transaction(task, w, dice, place);
  else if ((share -= w->batch) < 0)
    make_batch(task, w, dice);
  else if ((share -= w->pushes) < 0)
    make_element(task, w, dice, FAMILY_LIST);
  else if ((share -= w->publishes) < 0)
    make_element(task, w, dice, FAMILY_CHANNEL);
  else if ((share -= w->big) < 0)
    task->kind = make_ordinary(task->commands, w, dice, FAMILY_BIG) ? KIND_BIG_GET : KIND_BIG_SET;
  else
    task->kind = make_ordinary(task->commands, w, dice, FAMILY_KEY) ? KIND_GET : KIND_SET;
}

void task_pop(struct task *task, const struct workload *w, int consumer)
{
  task->kind = KIND_POP;
  task->n = 1;
  make(task->commands, w, "BLPOP", FAMILY_LIST, consumer);
  add(task->commands, "0", 1);
}

void task_big_read(struct task *task, const struct workload *w, int reader)
{
  task->kind = KIND_BIG_READ;
  task->n = 1;
  make(task->commands, w, "GET", FAMILY_BIG, reader % BIG_KEYS);
}

void task_stamp(struct task *task, int64_t ns)
{
  if (task->kind != KIND_PUSH && task->kind != KIND_PUBLISH)
    return;
  for (int i = STAMP_SIZE - 1; i >= 0; i--) {
    task->element[i] = (char)('0' + ns % 10);
    ns /= 10;
  }
}
