/* SPDX-License-Identifier: BSD-3-Clause */
/* sub.c - publish/subscribe while all is well: what is added arrives, in both forms, in order, to
 * each consumer its own; what is removed does not; and it has a connection of its own. */
#include "behaviour/listening.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/util.h"

enum { FORMS = 2, HUGE_BYTES = 40 * 1024 * 1024 };
#define for_forms(pulls) for (int pulls = 0; pulls < FORMS; pulls++)

static bool has_no_subscription(void *client)
{
  return stats_of(client).subscriptions == 0;
}

START_TEST(what_is_added_arrives_by_callback_and_pulled)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, NULL);
  for_forms(pulls)
  {
    ear_open(&ear, s.client, pulls);
    add_ok(&ear, PMX_SUB_CHANNEL, "news");
    ck_assert_int_eq(subscribers(s.server, "news"), 1); /* by the time it returned */
    ck_assert_int_eq(publish(s.server, "news", "a"), 1);
    ck_assert_int_eq(publish(s.server, "news", "b"), 1);
    ck_assert_int_eq(publish(s.server, "olds", "c"), 0);
    ear_check(&ear, "news=a news=b ");
    add_ok(&ear, PMX_SUB_PATTERN, "n*");
    ck_assert_int_eq(publish(s.server, "nine", "9"), 1);
    ear_check(&ear, "n*>nine=9 ");
    ear_close(&ear);
    ck_assert(until(s.client, has_no_subscription, s.client, SOON_MS));
  }
  scene_close(&s);
}
END_TEST

START_TEST(shard_channels_are_channels_of_their_own)
{
  struct scene s;
  struct ear ear;

  if (server_program_major() < 7)
    return;
  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_SHARD, "c");
  add_ok(&ear, PMX_SUB_SHARD, "d");
  ck_assert_int_eq(publish(s.server, "c", "no"), 0);
  ck_assert_int_eq(server_integer(s.server, "SPUBLISH", "c", "yes", NULL), 1);
  ear_check(&ear, "shard:c=yes ");
  check_is_ok(ear_remove(&ear, PMX_SUB_SHARD, "c"));
  ck_assert_int_eq(server_integer(s.server, "SPUBLISH", "c", "gone", NULL), 0);
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

START_TEST(each_consumer_has_its_own_copy_and_they_share_one_connection)
{
  enum { EARS = 5 };
  struct scene s;
  struct ear ears[EARS];

  scene_open(&s, _i, NULL);
  ck_assert_int_eq(subscription_connections(s.server), 0); /* not before anything is wanted */
  for (int i = 0; i < EARS; i++) {
    ear_open(&ears[i], s.client, i % 2);
    add_ok(&ears[i], PMX_SUB_CHANNEL, "c");
    add_ok(&ears[i], PMX_SUB_CHANNEL, "c"); /* again changes nothing */
  }
  add_ok(&ears[0], PMX_SUB_PATTERN, "c*");
  ck_assert_int_eq(subscription_connections(s.server), 1);
  ck_assert_int_eq(publish(s.server, "c", "x"), 2); /* the channel and the pattern */
  ear_check(&ears[0], "c=x c*>c=x ");
  for (int i = 1; i < EARS; i++)
    ear_check(&ears[i], "c=x ");
  ck_assert_uint_eq(stats_of(s.client).messages, EARS + 1);
  ck_assert_uint_eq(stats_of(s.client).subscriptions, 2);
  check_is_ok(ear_remove(&ears[1], PMX_SUB_CHANNEL, "c"));
  ck_assert_int_eq(publish(s.server, "c", "y"), 2); /* the others still want it */
  ear_check(&ears[2], "c=y ");
  ear_check(&ears[1], "");
  for (int i = 0; i < EARS; i++)
    ear_close(&ears[i]);
  scene_close(&s);
}
END_TEST

static bool has_come(void *client)
{
  return stats_of(client).messages == 1;
}

static bool is_unsubscribed(void *server)
{
  return subscribers(server, "a") + subscribers(server, "b") == 0;
}

START_TEST(what_is_removed_is_not_sent_any_more)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  check_is_ok(ear_remove(&ear, PMX_SUB_CHANNEL, "never added"));
  add_ok(&ear, PMX_SUB_CHANNEL, "a");
  add_ok(&ear, PMX_SUB_CHANNEL, "b");
  ck_assert_int_eq(publish(s.server, "a", "1"), 1);
  ck_assert(until(s.client, has_come, s.client, SOON_MS));
  check_is_ok(ear_remove(&ear, PMX_SUB_CHANNEL, "a"));
  ck_assert_int_eq(subscribers(s.server, "a"), 0);
  check_is_ok(ear_remove(&ear, PMX_SUB_CHANNEL, "a"));
  ck_assert_int_eq(publish(s.server, "b", "2"), 1);
  ear_check(&ear, "a=1 b=2 "); /* what was there before still comes */
  add_ok(&ear, PMX_SUB_CHANNEL, "a");
  ck_assert_int_eq(publish(s.server, "a", "3"), 1);
  ear_check(&ear, "a=3 ");
  ear_close(&ear);
  ck_assert(until(s.client, is_unsubscribed, s.server, SOON_MS));
  scene_close(&s);
}
END_TEST

static bool has_no_connection(void *server)
{
  char *text = server_command(server, "CLIENT", "LIST", NULL);
  int n = 0;

  for (const char *at = text; at && (at = strstr(at, "sub=")); at++)
    n += strncmp(at, "sub=0", 5) != 0;
  n += text && strstr(text, "cmd=unsubscribe") != NULL;
  free(text);
  return n == 0;
}

START_TEST(the_connection_ends_a_while_after_the_last_subscription)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  for (int i = 0; i < 3; i++) { /* not at once */
    add_ok(&ear, PMX_SUB_CHANNEL, "a");
    check_is_ok(ear_remove(&ear, PMX_SUB_CHANNEL, "a"));
  }
  ck_assert(!has_no_connection(s.server));
  ck_assert(until(s.client, has_no_connection, s.server, SOON_MS));
  add_ok(&ear, PMX_SUB_CHANNEL, "a");
  ck_assert_int_eq(publish(s.server, "a", "1"), 1);
  ear_check(&ear, "a=1 ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

START_TEST(names_and_messages_are_any_bytes)
{
  static const char name[] = "a\0b\r\nc";
  enum { LEN = sizeof name - 1 };
  const char *argv[] = {"PUBLISH", name, "x\0y\r\n"};
  const size_t len[] = {7, LEN, 5};
  struct scene s;
  struct ear ear;
  pmx_message m = PMX_MESSAGE_INIT;
  pmx_reply *reply;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  check_is_ok(pmx_sub_add(ear.sub, NULL, PMX_SUB_CHANNEL, name, LEN));
  add_ok(&ear, PMX_SUB_CHANNEL, "");
  check_int(pmx_argv(s.client, NULL, 3, argv, len), 1);
  reply = pmx_sub_next(ear.sub, NULL);
  ck_assert_int_eq(pmx_message_get(reply, &m), 1);
  ck_assert_uint_eq(m.channel_len, LEN);
  ck_assert_mem_eq(m.channel, name, LEN);
  ck_assert_uint_eq(m.data_len, 5);
  ck_assert_mem_eq(m.data, "x\0y\r\n", 5);
  ck_assert_ptr_null(m.pattern);
  pmx_reply_free(reply);
  ck_assert_int_eq(publish(s.server, "", "e"), 1);
  ear_check(&ear, "=e ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

START_TEST(a_huge_reply_on_the_same_client_arrives)
{
  struct scene s;
  struct ear ear;
  char *value = harness_alloc(HUGE_BYTES + 1);
  pmx_reply *reply;
  size_t len = 0;

  scene_open(&s, _i, NULL);
  free(server_command(s.server, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1",
                      NULL));
  memset(value, 'v', HUGE_BYTES);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  check_is_ok(pmx_command(s.client, "SET huge %b", value, (size_t)HUGE_BYTES));
  reply = pmx_do(s.client, NULL, "GET", "huge", (char *)NULL);
  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  ck_assert_ptr_nonnull(pmx_reply_str(reply, &len));
  ck_assert_uint_eq(len, HUGE_BYTES);
  pmx_reply_free(reply);
  ck_assert_int_eq(publish(s.server, "c", "still-here"), 1);
  ear_check(&ear, "c=still-here ");
  ear_close(&ear);
  scene_close(&s);
  free(value);
}
END_TEST

START_TEST(a_message_may_be_larger_than_a_read)
{
  enum { BIG = 900 * 1000 };
  struct scene s;
  struct ear ear;
  char *value = harness_alloc(BIG + 1);
  pmx_reply *reply;
  pmx_message m = PMX_MESSAGE_INIT;

  scene_open(&s, _i, NULL);
  memset(value, 'v', BIG);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  check_int(pmx_command(s.client, "PUBLISH c %b", value, (size_t)BIG), 1);
  reply = pmx_sub_next(ear.sub, NULL);
  ck_assert_int_eq(pmx_message_get(reply, &m), 1);
  ck_assert_uint_eq(m.data_len, BIG);
  ck_assert_mem_eq(m.data, value, BIG);
  pmx_reply_free(reply);
  ear_close(&ear);
  scene_close(&s);
  free(value);
}
END_TEST

START_TEST(the_reply_of_next_is_what_the_server_said)
{
  struct scene s;
  struct ear ear;
  pmx_reply *reply;
  pmx_message m = PMX_MESSAGE_INIT;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_PATTERN, "p*");
  ck_assert_int_eq(publish(s.server, "pq", "x"), 1);
  reply = pmx_sub_next(ear.sub, NULL);
  ck_assert_int_eq(pmx_reply_type(reply), PMX_TYPE_PUSH);
  ck_assert_uint_eq(pmx_reply_len(reply), 4);
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 0), NULL), "pmessage");
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 1), NULL), "p*");
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 3), NULL), "x");
  pmx_reply_free(reply);
  reply = pmx_do(s.client, NULL, "PING", (char *)NULL);
  ck_assert_int_eq(pmx_message_get(reply, &m), 0); /* no message */
  ck_assert_int_eq(pmx_message_get(NULL, &m), 0);
  ck_assert_int_eq(pmx_message_get(reply, NULL), 0);
  pmx_reply_free(reply);
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
  struct scene s;
  struct ear ear, heard;
  pmx_call call = call_flags(UINT64_C(1) << 60, 100);
  char *name = harness_alloc(70000);

  scene_open(&s, _i, NULL);
  ck_assert_ptr_null(pmx_sub_new(NULL, NULL, NULL));
  ear_open(&ear, s.client, true);
  ear_open(&heard, s.client, false);
  check_fails(pmx_sub_add(NULL, NULL, PMX_SUB_CHANNEL, "c", 1), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_sub_add(ear.sub, NULL, PMX_SUB_CHANNEL, NULL, 1), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_sub_add(ear.sub, NULL, (pmx_sub_kind)3, "c", 1), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "c", 1), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_sub_add(ear.sub, NULL, PMX_SUB_CHANNEL, name, 70000), PMX_INVALID,
              PMX_CAUSE_TOO_LARGE);
  check_fails(pmx_sub_next(heard.sub, NULL), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_sub_next(NULL, NULL), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_sub_remove(NULL, NULL, PMX_SUB_CHANNEL, "c", 1), PMX_INVALID, PMX_CAUSE_NONE);
  pmx_sub_free(NULL);
  memset(name, 'n', 65536);
  check_is_ok(pmx_sub_add(ear.sub, NULL, PMX_SUB_CHANNEL, name, 65536));
  ear_close(&ear);
  ear_close(&heard);
  scene_close(&s);
  free(name);
}
END_TEST

START_TEST(a_plain_subscribe_is_refused_and_told_the_way)
{
  struct scene s;
  pmx_reply *reply;

  scene_open(&s, _i, NULL);
  reply = pmx_do(s.client, NULL, "SUBSCRIBE", "c", (char *)NULL);
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "pmx_sub_add()"));
  check_fails(reply, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  reply = pmx_do(s.client, NULL, "PUNSUBSCRIBE", "c", (char *)NULL);
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "pmx_sub_remove()"));
  check_fails(reply, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  scene_close(&s);
}
END_TEST

/* A callback may do what others may. */
static void add_another(struct ear *ear, const pmx_message *m)
{
  pmx_reply *reply;

  if (strcmp(m->channel, "first") != 0)
    return;
  reply = ear_add(ear, PMX_SUB_CHANNEL, "second");
  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  pmx_reply_free(reply);
  reply = pmx_do(ear->client, NULL, "PUBLISH", "second", "hello", (char *)NULL);
  ck_assert_int_eq(pmx_reply_int(reply, NULL), 1);
  pmx_reply_free(reply);
}

START_TEST(a_callback_may_add_and_call)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, false);
  ear.inside = add_another;
  add_ok(&ear, PMX_SUB_CHANNEL, "first");
  ck_assert_int_eq(publish(s.server, "first", "1"), 1);
  ear_check(&ear, "first=1 second=hello ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub");

  manners_brief();
  server_require("sub");
  tcase_set_timeout(tc, 60);
  add_for_manners(tc, what_is_added_arrives_by_callback_and_pulled);
  add_for_manners(tc, shard_channels_are_channels_of_their_own);
  add_for_manners(tc, each_consumer_has_its_own_copy_and_they_share_one_connection);
  add_for_manners(tc, what_is_removed_is_not_sent_any_more);
  add_for_manners(tc, the_connection_ends_a_while_after_the_last_subscription);
  add_for_manners(tc, names_and_messages_are_any_bytes);
  add_for_manners(tc, a_huge_reply_on_the_same_client_arrives);
  add_for_manners(tc, a_message_may_be_larger_than_a_read);
  add_for_manners(tc, the_reply_of_next_is_what_the_server_said);
  add_for_manners(tc, bad_arguments_are_refused);
  add_for_manners(tc, a_plain_subscribe_is_refused_and_told_the_way);
  add_for_manners(tc, a_callback_may_add_and_call);
  return checks_run("sub", tc);
}
