/* SPDX-License-Identifier: BSD-3-Clause */
/* batch_loading.c - batches and servers that take no commands just now: sent again as a whole when
 * nothing of it has run, else not. */
#include "behaviour/batching.h"

#include <check.h>
#include <string.h>

#include "harness/checks.h"

struct loading {
  int answers; /* so many commands are answered, */
  int times;   /* then so many are refused */
};

static int load(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct loading *l = ud;

  if (argc > 1 && l->answers-- <= 0 && l->times-- > 0) {
    fake_reply_error(conn, "LOADING soon");
    return 0;
  }
  return answer_values(NULL, conn, argc, argv, len);
}

static void check_loading(const pmx_reply *array, size_t i, int safe)
{
  const pmx_reply *element = pmx_reply_at(array, i);

  ck_assert_msg(pmx_reply_safe_to_retry(element) == safe, "command %zu: %s/%s: %s", i,
                pmx_status_str(pmx_reply_status(element)), pmx_cause_str(pmx_reply_cause(element)),
                pmx_reply_error(element));
  check_element_fails(array, i, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
}

struct stage {
  struct loading loading;
  struct fake *fake;
  pmx_client *client;
};

static void stage_open(struct stage *s, int way, int answers, int times)
{
  s->loading = (struct loading){answers, times};
  s->fake = fake_for(&ways[way], load, &s->loading);
  s->client = open_client(ways[way].strategy, fake_url(s->fake), NULL);
}

static void stage_close(struct stage *s)
{
  close_client(s->client);
  ck_assert(fake_stop(s->fake));
}

START_TEST(batch_that_was_refused_as_a_whole_is_sent_again)
{
  struct stage s;
  pmx_reply *array;

  stage_open(&s, _i, 0, 6);
  array = batch_run(batch_of(s.client, "GET a; GET b; GET c"), 0, NULL);
  check_array(array, 3);
  check_value(pmx_reply_ref(pmx_reply_at(array, 2)), "c");
  pmx_reply_free(array);
  ck_assert_uint_eq(fake_seen(s.fake, "GET"), 9);
  stage_close(&s);
}
END_TEST

START_TEST(batch_of_which_one_command_was_answered_is_not)
{
  for (int answered = 0; answered < 3; answered++) {
    struct stage s;
    pmx_reply *array;

    stage_open(&s, _i, answered == 0, answered == 0 ? 2 : answered);
    array = batch_run(batch_of(s.client, "GET a; GET b; GET c"), 0, NULL);
    check_array(array, 3);
    for (int i = 0; i < 3; i++) {
      if (answered == 0 ? i > 0 : i < answered)
        check_loading(array, (size_t)i, 1);
      else
        ck_assert_int_eq(pmx_reply_status(pmx_reply_at(array, (size_t)i)), PMX_OK);
    }
    ck_assert_uint_eq(fake_seen(s.fake, "GET"), 3);
    pmx_reply_free(array);
    stage_close(&s);
  }
}
END_TEST

START_TEST(script_that_says_so_may_have_run_in_part)
{
  struct stage s;
  pmx_reply *array;

  stage_open(&s, _i, 0, 2);
  array = batch_run(batch_of(s.client, "GET a; EVAL s 0"), 0, NULL);
  check_loading(array, 0, 0);
  ck_assert_uint_eq(fake_seen(s.fake, "EVAL"), 1);
  pmx_reply_free(array);
  stage_close(&s);
}
END_TEST

/* The deadline came while a try was under way: what that has done is not known. */
static bool is_cut_short(const pmx_reply *array)
{
  const pmx_reply *last = pmx_reply_at(array, pmx_reply_len(array) - 1);

  if (pmx_reply_status(last) != PMX_UNKNOWN)
    return false;
  ck_assert_int_eq(pmx_reply_cause(last), PMX_CAUSE_TIMEOUT);
  ck_assert_int_eq(pmx_reply_safe_to_retry(last), 0);
  return true;
}

/* What was refused in earlier tries has not run in them. On a busy machine it takes some runs until
 * the deadline comes between two tries, as it mostly does. */
START_TEST(batch_that_is_refused_until_its_deadline_may_safely_be_sent_again)
{
  struct stage s;
  pmx_reply *reply = NULL;

  stage_open(&s, _i, 0, 1000000);
  for (int runs = 0; runs < 50 && (!reply || is_cut_short(reply)); runs++) {
    pmx_call call = call_in(100 + runs);

    pmx_reply_free(reply);
    reply = batch_run(batch_of(s.client, "INCR a; INCR b"), 0, &call);
    check_array(reply, 2);
  }
  check_loading(reply, 0, 1);
  check_loading(reply, 1, 1);
  ck_assert_uint_gt(fake_seen(s.fake, "INCR"), 2);
  pmx_reply_free(reply);
  stage_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("batch_loading");

  add_for_ways(tc, batch_that_was_refused_as_a_whole_is_sent_again);
  add_for_ways(tc, batch_of_which_one_command_was_answered_is_not);
  add_for_ways(tc, script_that_says_so_may_have_run_in_part);
  add_for_ways(tc, batch_that_is_refused_until_its_deadline_may_safely_be_sent_again);
  return checks_run("batch_loading", tc);
}
