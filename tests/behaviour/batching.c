/* SPDX-License-Identifier: BSD-3-Clause */
/* batching.c - see batching.h. */
#include "behaviour/batching.h"

#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/util.h"

enum { WORDS = 8 };

/* ---- sides ---- */

struct side side_at(int i)
{
  struct side side = {.way = &ways[i % way_count]};
  bool dedicates = strategy_has(side.way->strategy, DEDICATES);

  side.shares = strategy_has(side.way->strategy, SHARES) && i < way_count;
  side.flags = dedicates && !side.shares ? PMX_CALL_DEDICATED : 0;
  side.conn = side.flags ? 1 : 0;
  return side;
}

pmx_client *open_side(const struct side *side, const char *url, ...)
{
  pmx_options *options = options_for(side->way->strategy);
  const char *name = "hybrid.batch_size", *value = "256MiB";
  va_list args;

  va_start(args, url);
  for (; name; name = va_arg(args, const char *)) {
    if (!value)
      value = va_arg(args, const char *);
    ck_assert_msg(pmx_options_set(options, name, value) == PMX_OK, "%s",
                  pmx_options_error(options));
    value = NULL;
  }
  va_end(args);
  return open_client_with(url, options);
}

pmx_call side_call(const struct side *side, uint64_t flags, int64_t timeout_ms)
{
  return call_flags(side->flags | flags, timeout_ms);
}

void side_connect(const struct side *side, pmx_client *client)
{
  pmx_call call = side_call(side, 0, PMX_DEFAULT);

  check_is_ok(pmx_command_call(client, &call, "PING"));
}

/* ---- batches ---- */

static void add_one(pmx_batch *batch, char *line)
{
  const char *argv[WORDS];
  int argc = 0;
  char *rest = NULL;

  for (char *word = strtok_r(line, " ", &rest); word && argc < WORDS;
       word = strtok_r(NULL, " ", &rest))
    argv[argc++] = word;
  if (argc > 0)
    ck_assert_int_eq(pmx_batch_add_argv(batch, argc, argv, NULL), PMX_OK);
}

void batch_add_words(pmx_batch *batch, const char *commands)
{
  char *copy = strdup(commands), *next = copy, *line;

  while ((line = strsep(&next, ";")))
    add_one(batch, line);
  free(copy);
}

pmx_batch *batch_of(pmx_client *client, const char *commands)
{
  pmx_batch *batch = pmx_batch_new(client);

  ck_assert_ptr_nonnull(batch);
  batch_add_words(batch, commands);
  return batch;
}

void batch_add_big(pmx_batch *batch, const char *key, size_t size)
{
  char *value = harness_alloc(size);
  const char *argv[] = {"SET", key, value};
  const size_t len[] = {3, strlen(key), size};

  memset(value, 'v', size);
  ck_assert_int_eq(pmx_batch_add_argv(batch, 3, argv, len), PMX_OK);
  free(value);
}

pmx_reply *batch_run(pmx_batch *batch, int atomic, const pmx_call *call)
{
  pmx_reply *reply = atomic ? pmx_batch_exec_atomic(batch, call) : pmx_batch_exec(batch, call);

  ck_assert_ptr_nonnull(reply);
  pmx_batch_free(batch);
  return reply;
}

void check_array(const pmx_reply *array, size_t n)
{
  ck_assert_msg(pmx_ok(array), "%s/%s: %s", pmx_status_str(pmx_reply_status(array)),
                pmx_cause_str(pmx_reply_cause(array)), pmx_reply_error(array));
  ck_assert_int_eq(pmx_reply_type(array), PMX_TYPE_ARRAY);
  ck_assert_uint_eq(pmx_reply_len(array), n);
}

void check_element_int(const pmx_reply *array, size_t i, int64_t expected)
{
  check_int(pmx_reply_ref(pmx_reply_at(array, i)), expected);
}

void check_element_text(const pmx_reply *array, size_t i, const char *expected)
{
  const pmx_reply *element = pmx_reply_at(array, i);
  const char *text = pmx_reply_str(element, NULL);

  ck_assert_msg(pmx_ok(element) && text && strcmp(text, expected) == 0, "element %zu: %s", i,
                text ? text : "no text");
}

int64_t server_value(struct server *server, const char *key)
{
  int64_t value = server_integer(server, "GET", key, NULL);

  return value == SERVER_NO_INTEGER ? 0 : value;
}
