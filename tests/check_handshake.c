/* SPDX-License-Identifier: BSD-3-Clause */
/* check_handshake.c - what a connection says before it carries requests, and what it makes of every
 * kind of answer, in pieces of every size. Nothing here needs a server. */
#include "base/mem.h"
#include "conn_tools.h"
#include "handshake_rows.h"

static void talk_config(const struct talk *t, struct config *config)
{
  plain_config(config, t->protocol);
  config->db = t->db;
  config->client_info = t->info;
  if (t->client_name) {
    mem_free(config->client_name);
    config->client_name = mem_strdup(t->client_name);
  }
}

/* What was sent is gone from the buffer, whether or not the rest was sent. */
static void check_wiped(const struct conn *c, const char *name)
{
  const struct handshake *h = &c->handshake;

  for (size_t i = 0; h->out && i < h->sent; i++)
    ck_assert_msg(h->out[i] == '\0', "%s: byte %zu of %zu sent ones is still there", name, i,
                  h->sent);
}

static void check_said(struct conn *c, const struct talk *t, const char *says, size_t slice)
{
  struct wire_buf wanted = {0}, out = {0};

  words_add(&wanted, says);
  take_output(c, slice, WHOLE, &out);
  ck_assert_msg(out.len == wanted.len && memcmp(out.data, wanted.data, out.len) == 0,
                "%s: said \"%.*s\" instead of %s", t->name, (int)out.len, out.data, says);
  check_wiped(c, t->name);
  if (c->handshake.out)
    ck_assert_msg(!holds(c->handshake.out, c->handshake.size, t->password),
                  "%s: the password stays in the output buffer", t->name);
  wire_buf_free(&wanted);
  wire_buf_free(&out);
}

static void check_end(const struct conn *c, const struct talk *t)
{
  ck_assert_msg(c->cause == t->cause, "%s: %s instead of %s: %s", t->name, pmx_cause_str(c->cause),
                pmx_cause_str(t->cause), c->text);
  ck_assert_msg(c->phase == (t->cause ? CONN_DEAD : CONN_READY), "%s: phase %d", t->name,
                (int)c->phase);
  ck_assert_int_eq(c->poisoned, t->cause != PMX_CAUSE_NONE);
  ck_assert_msg(strstr(c->text, t->text ? t->text : ""), "%s: \"%s\" not in: %s", t->name, t->text,
                c->text);
  ck_assert_msg(!holds(c->text, strlen(c->text), t->password) &&
                    !holds(c->text, strlen(c->text), "s3cr3t"),
                "%s: the password is in: %s", t->name, c->text);
  ck_assert_int_eq(c->unsolicited, 0);
  ck_assert_ptr_null(c->handshake.out);
  ck_assert_ptr_null(c->handshake.user);
  ck_assert_ptr_null(c->handshake.password);
  if (t->cause)
    return;
  ck_assert_msg(c->resp3 == t->speaks3, "%s: resp3 %d", t->name, c->resp3);
  ck_assert_int_eq(conn_idle(c), 1);
  ck_assert_int_eq(conn_waits(c), 0);
}

struct pieces {
  size_t slice;        /* of the output */
  size_t split, piece; /* of the answers, see feed_pieces */
};

static void run_talk(const struct talk *t, struct pieces p)
{
  struct config config;
  struct conn c;
  size_t len;

  talk_config(t, &config);
  ck_assert_int_eq(conn_init(&c, &config, CONN_PLACES), 0);
  c.resp3 = t->speaks3; /* what a connection that is reset was speaking */
  ck_assert_int_eq(conn_start(&c, t->user, t->password, t->reset), 0);
  for (int i = 0; i < EXCHANGES_MAX && t->exchanges[i].answer; i++) {
    const char *answer = t->exchanges[i].answer;

    ck_assert_int_eq(conn_waits(&c), 1);
    ck_assert_int_eq(conn_idle(&c), 0);
    if (t->exchanges[i].says)
      check_said(&c, t, t->exchanges[i].says, p.slice);
    feed_pieces(&c, answer, strlen(answer), p.split, p.piece);
  }
  check_end(&c, t);
  conn_output(&c, &len);
  ck_assert_msg(len == 0, "%s: more to say at the end", t->name);
  conn_destroy(&c);
  config_clear(&config);
}

static int possible(const struct talk *t)
{
  return t->resp3 == 0 || (t->resp3 > 0) == (decoder_resp3() != 0);
}

START_TEST(every_handshake_ends_as_the_server_answers)
{
  for (int i = 0; i < TALKS; i++) {
    if (possible(&talks[i]))
      run_talk(&talks[i], (struct pieces){WHOLE, 0, DECODE_FEED_MAX});
  }
}
END_TEST

START_TEST(every_handshake_ends_the_same_byte_by_byte)
{
  for (int i = 0; i < TALKS; i++) {
    if (possible(&talks[i]))
      run_talk(&talks[i], (struct pieces){1, 0, 1});
  }
}
END_TEST

static size_t longest_answer(const struct talk *t)
{
  size_t longest = 0;

  for (int i = 0; i < EXCHANGES_MAX && t->exchanges[i].answer; i++) {
    size_t len = strlen(t->exchanges[i].answer);

    longest = len > longest ? len : longest;
  }
  return longest;
}

START_TEST(every_handshake_ends_the_same_when_split_at_any_byte)
{
  for (int i = 0; i < TALKS; i++) {
    size_t longest = longest_answer(&talks[i]);

    for (size_t split = 1; possible(&talks[i]) && split < longest; split++)
      run_talk(&talks[i], (struct pieces){split, split, DECODE_FEED_MAX});
  }
}
END_TEST

/* ---- an error while we are still writing ---- */

static void refuse_after(size_t sent)
{
  struct config config;
  struct wire_buf out = {0};
  struct conn c;

  plain_config(&config, PROTOCOL_RESP2);
  ck_assert_int_eq(conn_init(&c, &config, CONN_PLACES), 0);
  ck_assert_int_eq(conn_start(&c, "ada", SECRET, 0), 0);
  take_output(&c, WHOLE, sent, &out);
  check_wiped(&c, "refused");
  feed(&c, "-DENIED this server is not for you\r\n");
  ck_assert_msg(c.cause == PMX_CAUSE_CONNECT, "after %zu bytes: %s", sent, c.text);
  ck_assert_ptr_null(c.handshake.out);
  ck_assert_ptr_null(c.handshake.password);
  conn_destroy(&c);
  wire_buf_free(&out);
  config_clear(&config);
}

START_TEST(an_error_before_the_question_is_out_is_a_refused_connection)
{
  struct wire_buf whole = {0};

  words_add(&whole, "AUTH ada " SECRET);
  for (size_t sent = 0; sent < whole.len; sent++)
    refuse_after(sent);
  wire_buf_free(&whole);
}
END_TEST

/* ---- truncated ---- */

START_TEST(a_truncated_answer_is_waited_for)
{
  static const char answer[] = "+OK\r\n+OK\r\n+PONG\r\n";
  struct config config;

  plain_config(&config, PROTOCOL_RESP2);
  config.client_info = 1;
  for (size_t n = 0; n < sizeof answer - 1; n++) {
    struct conn c;

    ck_assert_int_eq(conn_init(&c, &config, CONN_PLACES), 0);
    ck_assert_int_eq(conn_start(&c, NULL, NULL, 0), 0);
    send_all(&c);
    feed_pieces(&c, answer, n, 0, DECODE_FEED_MAX);
    ck_assert_int_eq(c.phase, CONN_HANDSHAKE);
    ck_assert_int_eq(conn_waits(&c), 1);
    ck_assert_int_eq(conn_idle(&c), 0);
    feed(&c, answer + n);
    ck_assert_int_eq(c.phase, CONN_READY);
    ck_assert_int_eq(conn_idle(&c), 1);
    conn_destroy(&c);
  }
  config_clear(&config);
}
END_TEST

/* ---- answered while its end is still to be sent ---- */

START_TEST(a_step_that_is_out_may_be_answered_before_the_rest_is)
{
  struct config config;
  struct conn c;
  struct wire_buf first = {0};

  words_add(&first, "SELECT 1");
  for (size_t more = 0; more < 10; more++) {
    plain_config(&config, PROTOCOL_RESP2);
    config.db = config.client_info = 1;
    ck_assert_int_eq(conn_init(&c, &config, CONN_PLACES), 0);
    ck_assert_int_eq(conn_start(&c, NULL, NULL, 0), 0);
    send_bytes(&c, first.len + more);
    feed(&c, "+OK\r\n");
    ck_assert_msg(c.phase == CONN_HANDSHAKE, "%s", c.text);
    send_all(&c);
    feed(&c, "-ERR unknown subcommand\r\n-ERR unknown subcommand\r\n+PONG\r\n");
    ck_assert_int_eq(c.phase, CONN_READY);
    conn_destroy(&c);
    config_clear(&config);
  }
  wire_buf_free(&first);
}
END_TEST

/* ---- many answers at once, and the same object again ---- */

START_TEST(an_answer_too_many_after_the_last_ends_the_connection)
{
  struct config config;
  struct conn c;

  plain_config(&config, PROTOCOL_RESP2);
  ck_assert_int_eq(conn_init(&c, &config, CONN_PLACES), 0);
  ck_assert_int_eq(conn_start(&c, NULL, NULL, 0), 0);
  send_all(&c);
  feed(&c, "+PONG\r\n+PONG\r\n");
  ck_assert_int_eq(c.phase, CONN_DEAD);
  ck_assert_int_eq(c.unsolicited, 1);
  ck_assert_int_eq(c.cause, PMX_CAUSE_PROTOCOL);
  conn_destroy(&c);
  config_clear(&config);
}
END_TEST

START_TEST(a_new_start_forgets_how_the_last_connection_ended)
{
  struct config config;
  struct conn c;

  plain_config(&config, PROTOCOL_RESP2);
  ck_assert_int_eq(conn_init(&c, &config, CONN_PLACES), 0);
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(conn_start(&c, NULL, SECRET, 0), 0);
    ck_assert_int_eq(c.poisoned, 0);
    ck_assert_str_eq(c.text, "");
    ck_assert_int_eq(c.cause, PMX_CAUSE_NONE);
    send_all(&c);
    feed(&c, i == 0 ? "-WRONGPASS no\r\n" : i == 1 ? "+O" : "+OK\r\n");
    if (i == 1)
      conn_poison(&c, PMX_CAUSE_LOST, "gone"); /* with half an answer read */
  }
  send_all(&c);
  feed(&c, "+PONG\r\n");
  ck_assert_int_eq(c.phase, CONN_READY);
  conn_destroy(&c);
  config_clear(&config);
}
END_TEST

START_TEST(out_of_memory_at_any_point_is_reported_and_the_next_start_works)
{
  struct config config;
  struct conn c;
  uint64_t n;

  plain_config(&config, PROTOCOL_RESP2);
  for (n = 1;; n++) {
    int failed;

    mem_fail_at(n, 0);
    failed = conn_init(&c, &config, CONN_PLACES);
    if (!failed) {
      failed = conn_start(&c, "ada", SECRET, 0);
      mem_fail_at(0, 0);
      if (failed)
        ck_assert_int_eq(conn_start(&c, "ada", SECRET, 0), 0);
      check_said(&c, &(struct talk){.name = "again", .password = SECRET}, "AUTH ada " SECRET, 7);
      conn_destroy(&c);
    }
    mem_fail_at(0, 0);
    if (mem_count() < n)
      break;
    ck_assert_int_eq(failed, -1);
  }
  ck_assert_uint_gt(n, 4);
  config_clear(&config);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("handshake");
  TCase *tc = tcase_create("handshake");
  SRunner *runner;
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, every_handshake_ends_as_the_server_answers);
  tcase_add_test(tc, every_handshake_ends_the_same_byte_by_byte);
  tcase_add_test(tc, every_handshake_ends_the_same_when_split_at_any_byte);
  tcase_add_test(tc, an_error_before_the_question_is_out_is_a_refused_connection);
  tcase_add_test(tc, a_truncated_answer_is_waited_for);
  tcase_add_test(tc, a_step_that_is_out_may_be_answered_before_the_rest_is);
  tcase_add_test(tc, an_answer_too_many_after_the_last_ends_the_connection);
  tcase_add_test(tc, a_new_start_forgets_how_the_last_connection_ended);
  tcase_add_test(tc, out_of_memory_at_any_point_is_reported_and_the_next_start_works);
  suite_add_tcase(suite, tc);
  runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
