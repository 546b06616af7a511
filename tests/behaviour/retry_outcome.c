/* SPDX-License-Identifier: BSD-3-Clause */
/* retry_outcome.c - what a call that was sent more than once says in the end: what any of its tries
 * may have done, not only the last. */
#include "behaviour.h"

#include <strings.h>

#include "harness/checks.h"

/* Takes one INCR, and from then on nothing, logins included. */
static int take_one_and_vanish(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  int *taken = ud;

  *taken |= strcasecmp(argv[0], "INCR") == 0;
  return *taken ? -1 : fake_handshake(conn, argc, argv, len);
}

START_TEST(call_whose_first_try_may_have_run_is_unknown_though_the_last_one_did_not)
{
  int taken = 0;
  struct fake_options options = {.over = ways[_i].over,
                                 .handler = take_one_and_vanish,
                                 .ud = &taken,
                                 .manual = true};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_call call = call_flags(PMX_CALL_RETRY_SAFE, 300);
  pmx_reply *reply = pmx_do(client, &call, "INCR", "k", (char *)NULL);

  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_CONNECT);
  ck_assert_uint_gt(stats_of(client).retries, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static int take_one_and_load(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  int *taken = ud;

  if (strcasecmp(argv[0], "INCR") != 0)
    return answer_values(NULL, conn, argc, argv, len);
  if ((*taken)++ == 0)
    return -1;
  fake_reply_error(conn, "LOADING wait");
  return 0;
}

/* The last try may begin so late that it is cut off instead of refused: that says nothing here. */
static pmx_reply *refused_in_the_end(pmx_client *client, int *taken)
{
  pmx_call call = call_flags(PMX_CALL_RETRY_SAFE, 300);

  for (int i = 0;; i++) {
    pmx_reply *reply = pmx_do(client, &call, "INCR", "k", (char *)NULL);

    if (pmx_reply_cause(reply) != PMX_CAUSE_TIMEOUT || i == 20)
      return reply;
    pmx_reply_free(reply);
    *taken = 0;
  }
}

START_TEST(refusal_after_a_try_that_may_have_run_is_not_safe_to_retry)
{
  int taken = 0;
  struct fake *fake = fake_for(&ways[_i], take_one_and_load, &taken);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_reply *reply = refused_in_the_end(client, &taken);

  ck_assert_str_eq(pmx_reply_error_code(reply), "LOADING");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  pmx_reply_free(reply);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("retry_outcome");

  add_for_ways(tc, call_whose_first_try_may_have_run_is_unknown_though_the_last_one_did_not);
  add_for_ways(tc, refusal_after_a_try_that_may_have_run_is_not_safe_to_retry);
  return checks_run("retry_outcome", tc);
}
