/* SPDX-License-Identifier: BSD-3-Clause */
/* sub_server.c - what servers may say on a subscription connection besides messages: unsubscribes
 * that nobody asked for, pushes of kinds that are not known, refusals, nonsense. Nothing of it
 * breaks anything, or ends more than the connection. */
#include "behaviour/listening.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/util.h"

/* A server that confirms what is asked of it, but not the name "denied". */
struct world {
  const struct manner *manner;
  struct fake *fake;
  pmx_client *client;
  struct ear ear;
  _Atomic int deny;  /* also the names "moved" */
  _Atomic int sulks; /* does not answer UNSUBSCRIBE */
};

static void push3(struct fake_conn *conn, const char *kind, const char *name, const char *data)
{
  fake_reply_push(conn, 3);
  fake_reply_text(conn, kind);
  if (name)
    fake_reply_text(conn, name);
  else
    fake_reply_null(conn);
  if (data)
    fake_reply_text(conn, data);
  else
    fake_reply_int(conn, 0);
}

static bool is_denied(struct world *w, const char *name)
{
  return strcmp(name, "denied") == 0 || (atomic_load(&w->deny) && strncmp(name, "moved", 5) == 0);
}

static int serve(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct world *w = ud;
  char kind[32];

  (void)len;
  if (!strstr(argv[0], "SUBSCRIBE")) {
    fake_reply_simple(conn, "OK");
    return 0;
  }
  for (int i = 1; i < argc; i++) {
    if (is_denied(w, argv[i])) {
      fake_reply_error(conn, "NOPERM no permission to access one of the channels");
      return 0;
    }
  }
  if (atomic_load(&w->sulks) && strcmp(argv[0], "UNSUBSCRIBE") == 0)
    return 0;
  snprintf(kind, sizeof kind, "%s", argv[0]);
  for (char *c = kind; *c; c++)
    *c = (char)(*c | 0x20);
  for (int i = 1; i < argc; i++)
    push3(conn, kind, argv[i], NULL);
  return 0;
}

static void world_open(struct world *w, int i)
{
  struct fake_options options = {.handler = serve, .ud = w};

  memset(w, 0, sizeof *w);
  w->manner = &manners[i];
  options.over = w->manner->over;
  w->fake = fake_start(&options);
  w->client = open_manner(w->manner, fake_url(w->fake), "connect", "lazy", "command_timeout", "20s",
                          "reconnect.min_delay", "1ms", "reconnect.max_delay", "5ms", (char *)NULL);
  ear_open(&w->ear, w->client, true);
}

static void world_close(struct world *w)
{
  ear_close(&w->ear);
  close_client(w->client);
  ck_assert(fake_stop(w->fake));
}

static struct fake_conn *connection(struct world *w)
{
  return fake_conn_at(w->fake, fake_counts(w->fake).accepted - 1);
}

static void say(struct world *w, const char *data)
{
  push3(connection(w), "message", "c", data);
}

START_TEST(unsubscribes_and_pushes_that_nobody_asked_for_break_nothing)
{
  struct world w;
  struct fake_conn *conn;

  world_open(&w, _i);
  add_ok(&w.ear, PMX_SUB_CHANNEL, "c");
  conn = connection(&w);
  push3(conn, "unsubscribe", NULL, NULL);
  push3(conn, "unsubscribe", "another", NULL);
  push3(conn, "punsubscribe", "c", NULL); /* a pattern, which was never subscribed to */
  push3(conn, "subscribe", "another", NULL);
  push3(conn, "subscribe", "c", NULL); /* again */
  push3(conn, "sunsubscribe", "c", NULL);
  push3(conn, "message", "another", "lost");
  push3(conn, "newkind", "x", "y");
  fake_reply_push(conn, 2);
  fake_reply_text(conn, "invalidate");
  fake_reply_array(conn, 1);
  fake_reply_text(conn, "key");
  fake_reply_push(conn, 1);
  fake_reply_text(conn, "message"); /* too short */
  fake_reply_push(conn, 0);
  fake_reply_push(conn, 3);
  fake_reply_int(conn, 1);
  fake_reply_int(conn, 2);
  fake_reply_int(conn, 3);
  fake_reply_push(conn, 2);
  fake_reply_text(conn, "pong");
  fake_reply_text(conn, "");
  say(&w, "alive");
  ear_check(&w.ear, "c=alive ");
  ck_assert_uint_eq(stats_of(w.client).pushes, 5);
  ck_assert_uint_eq(stats_of(w.client).gaps, 0);
  ck_assert_uint_eq(fake_seen(w.fake, "SUBSCRIBE"), 1);
  world_close(&w);
}
END_TEST

START_TEST(a_subscription_that_the_server_ended_is_made_again)
{
  struct world w;

  world_open(&w, _i);
  add_ok(&w.ear, PMX_SUB_SHARD, "s");
  add_ok(&w.ear, PMX_SUB_CHANNEL, "c");
  push3(connection(&w), "sunsubscribe", "s", NULL);
  say(&w, "other");
  ck_assert(ear_has(&w.ear, 0, 1, SOON_MS));
  ck_assert(fake_wait_seen(w.fake, "SSUBSCRIBE", 2, SOON_MS));
  push3(connection(&w), "smessage", "s", "back");
  /* What comes by the others meanwhile is behind the gap. */
  ear_check(&w.ear, "GAP c=other shard:s=back ");
  ck_assert_uint_eq(stats_of(w.client).resubscribes, 1);
  ck_assert_uint_eq(fake_counts(w.fake).accepted, 1);
  world_close(&w);
}
END_TEST

START_TEST(a_refusal_is_the_answer_of_its_own_call)
{
  struct world w;
  pmx_reply *reply;

  world_open(&w, _i);
  add_ok(&w.ear, PMX_SUB_CHANNEL, "c");
  reply = ear_add(&w.ear, PMX_SUB_CHANNEL, "denied");
  ck_assert_str_eq(pmx_reply_error_code(reply), "NOPERM");
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  say(&w, "alive");
  ear_check(&w.ear, "c=alive ");
  ck_assert_uint_eq(stats_of(w.client).subscriptions, 1);
  ck_assert_uint_eq(fake_counts(w.fake).accepted, 1);
  /* It is not subscribed to, and not asked for again. */
  fake_close(connection(&w));
  ck_assert(ear_has(&w.ear, 0, 1, SOON_MS));
  ck_assert_uint_eq(fake_seen(w.fake, "SUBSCRIBE"), 3);
  world_close(&w);
}
END_TEST

static bool all_but_one_are_back(void *client)
{
  return stats_of(client).subscriptions == 5;
}

/* Six at first, once all together, once each, and then the one. */
static bool is_asked_again(void *world)
{
  return fake_seen(((struct world *)world)->fake, "SUBSCRIBE") > 6 + 1 + 6;
}

START_TEST(one_that_is_not_let_back_does_not_hold_up_the_others)
{
  struct world w;
  char name[16];
  struct ear moved;

  world_open(&w, _i);
  ear_open(&moved, w.client, true);
  for (int i = 0; i < 5; i++) {
    snprintf(name, sizeof name, "c%d", i);
    add_ok(&w.ear, PMX_SUB_CHANNEL, i ? name : "c");
  }
  add_ok(&moved, PMX_SUB_CHANNEL, "moved");
  atomic_store(&w.deny, 1);
  fake_close(connection(&w)); /* all six in one command, then one by one */
  ck_assert(ear_has(&w.ear, 0, 1, SOON_MS));
  ck_assert(ear_has(&moved, 0, 1, SOON_MS)); /* it will not become better by waiting */
  say(&w, "alive");
  ear_check(&w.ear, "GAP c=alive ");
  ear_check(&moved, "GAP ");
  ck_assert(until(w.client, all_but_one_are_back, w.client, SOON_MS));
  ck_assert(until(w.client, is_asked_again, &w, SOON_MS));
  atomic_store(&w.deny, 0);
  ck_assert(ear_has(&moved, 0, 1, SOON_MS)); /* now it is back, and has missed something */
  push3(connection(&w), "message", "moved", "back");
  ear_check(&moved, "GAP moved=back ");
  ck_assert_uint_eq(stats_of(w.client).subscriptions, 6);
  ear_close(&moved);
  world_close(&w);
}
END_TEST

static void add_c(void *ear)
{
  add_ok(ear, PMX_SUB_CHANNEL, "c");
}

/* What comes before its own subscription begins would have a hole behind it. */
START_TEST(what_was_meant_for_the_last_one_is_not_given_to_the_next)
{
  struct world w;
  struct ear next;
  pmx_call call = call_in(50);
  struct background *thread;

  world_open(&w, _i);
  ear_open(&next, w.client, true);
  add_ok(&w.ear, PMX_SUB_CHANNEL, "c");
  atomic_store(&w.sulks, 1);
  check_fails(pmx_sub_remove(w.ear.sub, &call, PMX_SUB_CHANNEL, "c", 1), PMX_UNKNOWN,
              PMX_CAUSE_TIMEOUT);
  thread = background_start(add_c, &next);
  sleep_ms(20); /* it should wait by now; if not, nothing is shown this time */
  say(&w, "old");
  push3(connection(&w), "unsubscribe", "c", NULL);
  ck_assert(fake_wait_seen(w.fake, "SUBSCRIBE", 2, SOON_MS));
  background_join(thread);
  say(&w, "new");
  ear_check(&next, "c=new ");
  ear_check(&w.ear, "");
  atomic_store(&w.sulks, 0);
  ear_close(&next);
  world_close(&w);
}
END_TEST

START_TEST(nonsense_costs_the_connection_and_a_gap)
{
  static const char *const nonsense[] = {":1\r\n", "$3\r\nabc\r\n", "-ERR unasked\r\n", "?\r\n",
                                         "*3\r\n$7\r\nmessage\r\n!"};
  struct world w;

  world_open(&w, _i);
  add_ok(&w.ear, PMX_SUB_CHANNEL, "c");
  for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
    struct fake_conn *conn = connection(&w);

    say(&w, "before");
    fake_send(conn, nonsense[i], strlen(nonsense[i]));
    ck_assert(ear_has(&w.ear, 1, 1, SOON_MS));
    ck_assert(fake_wait_open(w.fake, 1, SOON_MS));
    say(&w, "after");
    ear_check(&w.ear, "c=before GAP c=after ");
  }
  world_close(&w);
}
END_TEST

/* Nobody waits for ever for a server that does not confirm. */
static int never_confirm(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud, (void)argc, (void)len;
  if (!strstr(argv[0], "SUBSCRIBE"))
    fake_reply_simple(conn, "OK");
  return 0;
}

START_TEST(a_server_that_does_not_confirm_is_given_up_at_the_deadline)
{
  const struct manner *m = &manners[_i];
  struct fake_options options = {.over = m->over, .handler = never_confirm};
  struct fake *fake = fake_start(&options);
  pmx_client *client =
      open_manner(m, fake_url(fake), "connect", "lazy", "mux.stall_timeout", "200ms", (char *)NULL);
  struct ear ear;
  pmx_call call = call_in(100);
  int64_t begun = pmx_now_ms();
  pmx_reply *reply;

  ear_open(&ear, client, true);
  reply = pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "c", 1);
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "\"c\""));
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_on_time("add", begun + 100);
  call = call_in(600); /* and the connection when nothing moves on it */
  check_fails(pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "d", 1), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_uint_ge(fake_counts(fake).accepted, 2);
  ear_close(&ear);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

struct pings {
  struct world *world;
  size_t wanted;
};

static bool are_sent(void *arg)
{
  struct pings *p = arg;

  return fake_seen(p->world->fake, "PING") >= p->wanted;
}

START_TEST(keepalive_is_what_it_was_changed_to)
{
  struct world w;
  struct pings pings = {.world = &w};

  world_open(&w, _i);
  add_ok(&w.ear, PMX_SUB_CHANNEL, "c");
  pings.wanted = fake_seen(w.fake, "PING") + 3;
  ck_assert_int_eq(pmx_client_set(w.client, "mux.keepalive", "20ms"), PMX_OK);
  ck_assert(until(w.client, are_sent, &pings, SOON_MS));
  say(&w, "x");
  ear_check(&w.ear, "c=x ");
  ck_assert_uint_eq(stats_of(w.client).gaps, 0);
  world_close(&w);
}
END_TEST

START_TEST(the_protocol_makes_no_difference)
{
  struct world w;

  world_open(&w, _i);
  add_ok(&w.ear, PMX_SUB_CHANNEL, "c");
  ck_assert_int_eq(fake_conn_proto(connection(&w)), reads_resp3() ? 3 : 2);
  say(&w, "x");
  ear_check(&w.ear, "c=x ");
  world_close(&w);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub_server");

  manners_brief();
  tcase_set_timeout(tc, 60);
  add_for_manners(tc, unsubscribes_and_pushes_that_nobody_asked_for_break_nothing);
  add_for_manners(tc, a_subscription_that_the_server_ended_is_made_again);
  add_for_manners(tc, a_refusal_is_the_answer_of_its_own_call);
  add_for_manners(tc, one_that_is_not_let_back_does_not_hold_up_the_others);
  add_for_manners(tc, what_was_meant_for_the_last_one_is_not_given_to_the_next);
  add_for_manners(tc, nonsense_costs_the_connection_and_a_gap);
  add_for_manners(tc, a_server_that_does_not_confirm_is_given_up_at_the_deadline);
  add_for_manners(tc, keepalive_is_what_it_was_changed_to);
  add_for_manners(tc, the_protocol_makes_no_difference);
  return checks_run("sub_server", tc);
}
