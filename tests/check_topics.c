/* SPDX-License-Identifier: BSD-3-Clause */
/* check_topics.c - the table of what is subscribed to, and what replies on a subscription
 * connection are taken for. */
#include "strategy/topics.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "call/reply.h"
#include "conn/message.h"
#include "harness/checks.h"
#include "resp/decode.h"

enum { MANY = 3000 };

/* ---- the table ---- */

static void add(struct topics *t, pmx_sub_kind kind, const char *name)
{
  size_t want = topics_want(t);

  if (want)
    mem_free(topics_grow(t, mem_zalloc(want * sizeof(struct topic *)), want));
  topics_add(t, topic_new(kind, name, strlen(name)));
}

START_TEST(what_is_in_the_table_is_found_and_nothing_else)
{
  struct topics t = {NULL, 0, 0};
  char name[32];

  ck_assert_ptr_null(topics_find(&t, PMX_SUB_CHANNEL, "n0", 2));
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof name, "n%d", i);
    add(&t, (pmx_sub_kind)(i % 3), name);
  }
  ck_assert_uint_eq(t.count, MANY);
  ck_assert_uint_ge(t.size, MANY);
  for (int i = 0; i < MANY; i++) {
    struct topic *topic;

    snprintf(name, sizeof name, "n%d", i);
    topic = topics_find(&t, (pmx_sub_kind)(i % 3), name, strlen(name));
    ck_assert_ptr_nonnull(topic);
    ck_assert_str_eq(topic->name, name);
    ck_assert_ptr_null(topics_find(&t, (pmx_sub_kind)((i + 1) % 3), name, strlen(name)));
    if (i % 2 == 0) {
      topics_remove(&t, topic);
      mem_free(topic);
      ck_assert_ptr_null(topics_find(&t, (pmx_sub_kind)(i % 3), name, strlen(name)));
    }
  }
  ck_assert_uint_eq(t.count, MANY / 2);
  for (size_t i = 0; i < t.size; i++) {
    while (t.buckets[i]) {
      struct topic *topic = t.buckets[i];

      topics_remove(&t, topic);
      mem_free(topic);
    }
  }
  ck_assert_uint_eq(t.count, 0);
  mem_free(t.buckets);
}
END_TEST

/* ---- replies ---- */

struct row {
  const char *bytes;
  enum message_what what;
  pmx_sub_kind kind;
  const char *name;
};

static const struct row rows[] = {
    {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nd\r\n", MESSAGE_DATA, PMX_SUB_CHANNEL, "c"},
    {"*4\r\n$8\r\npmessage\r\n$2\r\np*\r\n$1\r\nc\r\n$1\r\nd\r\n", MESSAGE_DATA, PMX_SUB_PATTERN,
     "p*"},
    {"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\nd\r\n", MESSAGE_DATA, PMX_SUB_SHARD, "c"},
    {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n*1\r\n$1\r\nk\r\n", MESSAGE_DATA, PMX_SUB_CHANNEL, "c"},
    {"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", MESSAGE_SUBSCRIBED, PMX_SUB_CHANNEL, "c"},
    {"*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n", MESSAGE_SUBSCRIBED, PMX_SUB_PATTERN, "c"},
    {"*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n", MESSAGE_SUBSCRIBED, PMX_SUB_SHARD, "c"},
    {"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", MESSAGE_UNSUBSCRIBED, PMX_SUB_CHANNEL, NULL},
    {"*3\r\n$12\r\npunsubscribe\r\n$1\r\nc\r\n:0\r\n", MESSAGE_UNSUBSCRIBED, PMX_SUB_PATTERN, "c"},
    {"*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n", MESSAGE_UNSUBSCRIBED, PMX_SUB_SHARD, "c"},
    {"*2\r\n$4\r\npong\r\n$0\r\n\r\n", MESSAGE_PONG, PMX_SUB_CHANNEL, NULL},
    {"+PONG\r\n", MESSAGE_PONG, PMX_SUB_CHANNEL, NULL},
    {"-NOPERM no\r\n", MESSAGE_ERROR, PMX_SUB_CHANNEL, NULL},
    {"*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nd\r\n", MESSAGE_OTHER, PMX_SUB_CHANNEL, NULL},
    {"*4\r\n$8\r\npmessage\r\n$1\r\np\r\n:1\r\n$1\r\nd\r\n", MESSAGE_OTHER, PMX_SUB_CHANNEL, NULL},
    {"*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n", MESSAGE_OTHER, PMX_SUB_CHANNEL, NULL},
    {"*3\r\n$7\r\nMESSAGE\r\n$1\r\nc\r\n$1\r\nd\r\n", MESSAGE_OTHER, PMX_SUB_CHANNEL, NULL},
    {"*0\r\n", MESSAGE_OTHER, PMX_SUB_CHANNEL, NULL},
    {"+OK\r\n", MESSAGE_BAD, PMX_SUB_CHANNEL, NULL},
    {":1\r\n", MESSAGE_BAD, PMX_SUB_CHANNEL, NULL},
    {"$4\r\npong\r\n", MESSAGE_BAD, PMX_SUB_CHANNEL, NULL},
    {"*-1\r\n", MESSAGE_BAD, PMX_SUB_CHANNEL, NULL},
};

static void check_row(const struct row *row, char first)
{
  struct decode_limits limits = {1 << 20, 1000, 8};
  struct decoder *decoder;
  struct message m;
  pmx_reply *reply;
  char bytes[128];

  snprintf(bytes, sizeof bytes, "%s", row->bytes);
  bytes[0] = first;
  ck_assert_int_eq(decoder_open(&decoder, &limits), 0);
  ck_assert_int_eq(decoder_feed(decoder, bytes, strlen(bytes)), 0);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_REPLY);
  message_read(reply, &m);
  ck_assert_msg(m.what == row->what, "%s is taken for %d", row->bytes, (int)m.what);
  if (row->what <= MESSAGE_UNSUBSCRIBED) {
    ck_assert_int_eq(m.kind, row->kind);
    ck_assert_pstr_eq(m.name, row->name);
  }
  pmx_reply_free(reply);
  decoder_close(decoder);
}

START_TEST(replies_are_told_by_their_first_word)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    check_row(&rows[i], rows[i].bytes[0]);
    if (rows[i].bytes[0] == '*' && rows[i].what != MESSAGE_BAD && decoder_resp3())
      check_row(&rows[i], '>');
  }
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("topics");

  tcase_add_test(tc, what_is_in_the_table_is_found_and_nothing_else);
  tcase_add_test(tc, replies_are_told_by_their_first_word);
  return checks_run("topics", tc);
}
