/* SPDX-License-Identifier: BSD-3-Clause */
/* scripts_faults.c - the two tries of a script as one call, on a server that fails between them:
 * one deadline, one token, at most once; what other servers say instead of NOSCRIPT; a libcrypto
 * without SHA-1, which is replaced for that. */
#include <check.h>
#include <dlfcn.h>
#include <openssl/evp.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "behaviour/behaviour.h"
#include "behaviour/scripting.h"
#include "harness/checks.h"
#include "harness/util.h"

#define MISSING "NOSCRIPT No matching script. Please use EVAL."

static const char sha_of_empty[] = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/* ---- a server that knows no script ---- */

struct forgetful {
  const char *says;      /* to EVALSHA */
  atomic_int hang_ups;   /* so many EVALSHA are taken without an answer first */
  int delay_ms;          /* before it answers EVALSHA */
  bool silent, hangs_up; /* upon EVAL; else it answers 1 */
  bool goes_away;        /* after EVALSHA */
  struct fake *fake;
};

static int on_eval(struct forgetful *f, struct fake_conn *conn)
{
  if (f->hangs_up)
    return -1;
  if (!f->silent)
    fake_reply_int(conn, 1);
  return 0;
}

static int forget(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct forgetful *f = ud;

  if (strcasecmp(argv[0], "EVAL") == 0)
    return on_eval(f, conn);
  if (strcasecmp(argv[0], "EVALSHA") != 0)
    return answer_values(NULL, conn, argc, argv, len);
  if (atomic_fetch_sub(&f->hang_ups, 1) > 0)
    return -1;
  if (f->goes_away)
    fake_listen(f->fake, false);
  if (f->delay_ms)
    fake_delay(conn, f->delay_ms);
  fake_reply_error(conn, f->says);
  if (f->goes_away)
    fake_close(conn);
  return 0;
}

struct stage {
  struct forgetful server;
  pmx_client *client;
  pmx_script *script;
};

static void stage_open(struct stage *s, const struct way *way)
{
  if (!s->server.says)
    s->server.says = MISSING;
  s->server.fake = fake_for(way, forget, &s->server);
  s->client = open_client(way->strategy, fake_url(s->server.fake), "retry.max", "3", (char *)NULL);
  s->script = script_of("");
}

static void stage_close(struct stage *s)
{
  pmx_script_free(s->script);
  close_client(s->client);
  ck_assert(fake_stop(s->server.fake));
}

static pmx_reply *run_once(struct stage *s, const pmx_call *call)
{
  return run_script(s->client, call, s->script, 1, "k", "a", (char *)NULL);
}

/* ---- what is sent ---- */

static void check_sent(struct fake *fake, size_t i, const char *const *words, int n)
{
  const struct fake_command *command = fake_command(fake, i);

  ck_assert_ptr_nonnull(command);
  ck_assert_int_eq(command->argc, n);
  for (int k = 0; k < n; k++)
    ck_assert_str_eq(command->argv[k], words[k]);
}

START_TEST(evalsha_and_then_eval_also_without_retries)
{
  static const char *const first[] = {"EVALSHA", sha_of_empty, "1", "k", "a"};
  static const char *const second[] = {"EVAL", "", "1", "k", "a"};
  static const uint64_t flags[] = {0, PMX_CALL_NO_RETRY, PMX_CALL_RETRY_SAFE};
  struct stage s = {0};
  size_t before;

  stage_open(&s, &ways[_i]);
  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    pmx_call call = call_flags(flags[i], SOON_MS);

    before = fake_counts(s.server.fake).commands;
    check_int(run_once(&s, &call), 1);
    ck_assert_uint_eq(fake_counts(s.server.fake).commands, before + 2);
    check_sent(s.server.fake, before, first, 5);
    check_sent(s.server.fake, before + 1, second, 5);
  }
  ck_assert_uint_eq(stats_of(s.client).retries, 0);
  ck_assert_uint_eq(stats_of(s.client).commands, 3);
  stage_close(&s);
}
END_TEST

static const struct {
  const char *says;
  bool servers; /* it is the server's word */
} words[] = {
    {MISSING, true},
    {"NOSCRIPT No matching script. Please use EVAL", true},
    {"NOSCRIPT No matching script.", true},
    {"NOSCRIPT No matching script", true},
    {MISSING " script: "
             "da39a3ee5e6b4b0d3255bfef95601890afd80709, on @user_script:1.",
     false},
    {"NOSCRIPT no script of mine", false},
    {"NOSCRIPT", false},
    {"NOSCRIPT No matching scripts", false},
    {"ERR " MISSING, false},
    {"ERR Error running script (call to f_da39): @user_script:1: " MISSING, false},
};

START_TEST(only_the_words_of_servers_are_taken_for_theirs)
{
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    struct stage s = {.server = {.says = words[i].says}};

    stage_open(&s, &(const struct way){strategies[_i], OVER_UNIX});
    if (words[i].servers)
      check_int(run_once(&s, NULL), 1);
    else
      check_fails_saying(run_once(&s, NULL), PMX_SERVER_ERROR, PMX_CAUSE_NONE, words[i].says,
                         (char *)NULL);
    ck_assert_uint_eq(fake_seen(s.server.fake, "EVAL"), words[i].servers);
    stage_close(&s);
  }
}
END_TEST

/* ---- lost in between ---- */

START_TEST(what_may_have_run_is_not_sent_again)
{
  struct stage s = {.server = {.hang_ups = 1, .hangs_up = true}};

  stage_open(&s, &ways[_i]);
  check_fails(run_once(&s, NULL), PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_uint_eq(fake_seen(s.server.fake, "EVALSHA"), 1);
  ck_assert_uint_eq(fake_seen(s.server.fake, "EVAL"), 0);
  check_fails(run_once(&s, NULL), PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_uint_eq(fake_seen(s.server.fake, "EVALSHA"), 2);
  ck_assert_uint_eq(fake_seen(s.server.fake, "EVAL"), 1);
  stage_close(&s);
}
END_TEST

/* The first EVALSHA was taken, so it may have run, whatever became of the later tries. */
START_TEST(what_may_have_run_stays_unknown_when_the_last_try_did_not_run)
{
  struct stage s = {.server = {.hang_ups = 1, .goes_away = true}};
  pmx_call call = call_flags(PMX_CALL_RETRY_SAFE, 1000);
  pmx_reply *reply;

  stage_open(&s, &ways[_i]);
  reply = run_once(&s, &call);
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  ck_assert_msg(pmx_reply_status(reply) == PMX_UNKNOWN, "%s/%s: %s",
                pmx_status_str(pmx_reply_status(reply)), pmx_cause_str(pmx_reply_cause(reply)),
                pmx_reply_error(reply));
  pmx_reply_free(reply);
  ck_assert_uint_eq(fake_seen(s.server.fake, "EVALSHA"), 2);
  stage_close(&s);
}
END_TEST

/* ---- one deadline, one token ---- */

enum { TRIES = 40 };

/* With a deadline for each, both would take 450 ms at the least. A busy machine has no time left
 * for the second, and gets more tries. */
START_TEST(both_tries_share_one_deadline)
{
  struct stage s = {.server = {.delay_ms = 200, .silent = true}};
  pmx_call call = call_in(250);
  bool shared = false;

  stage_open(&s, &ways[_i]);
  for (int i = 0; i < TRIES && !shared; i++) {
    size_t before = fake_seen(s.server.fake, "EVAL");
    int64_t began = now_ms();
    pmx_reply *reply = run_once(&s, &call);

    shared = pmx_reply_status(reply) == PMX_UNKNOWN && now_ms() - began < 400 &&
             fake_seen(s.server.fake, "EVAL") > before;
    ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_TIMEOUT);
    pmx_reply_free(reply);
  }
  ck_assert(shared);
  stage_close(&s);
}
END_TEST

struct canceller {
  struct stage *stage;
  pmx_cancel *token;
};

/* The token is its owner's: he may give it up at any time, also while the call carries it. */
static void fire_at_eval(void *arg)
{
  struct canceller *c = arg;

  fake_wait_seen(c->stage->server.fake, "EVAL", 1, SOON_MS);
  pmx_cancel_fire(c->token);
}

static void free_at_evalsha(void *arg)
{
  struct canceller *c = arg;

  fake_wait_seen(c->stage->server.fake, "EVALSHA", 1, SOON_MS);
  pmx_cancel_free(c->token);
}

START_TEST(a_token_ends_the_second_try_as_well)
{
  struct stage s = {.server = {.silent = true}};
  struct canceller c = {&s, pmx_cancel_new()};
  struct background *thread;
  pmx_call call = call_in(SOON_MS);

  stage_open(&s, &ways[_i]);
  call.cancel = c.token;
  thread = background_start(fire_at_eval, &c);
  check_fails(run_once(&s, &call), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  background_join(thread);
  check_fails(run_once(&s, &call), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  pmx_cancel_free(c.token);
  stage_close(&s);
}
END_TEST

START_TEST(a_token_may_be_given_up_between_the_tries)
{
  struct stage s = {.server = {.delay_ms = 100}};
  struct canceller c = {&s, pmx_cancel_new()};
  struct background *thread;
  pmx_call call = call_in(SOON_MS);

  stage_open(&s, &ways[_i]);
  call.cancel = c.token;
  thread = background_start(free_at_evalsha, &c);
  check_int(run_once(&s, &call), 1);
  background_join(thread);
  stage_close(&s);
}
END_TEST

static void free_script(void *arg)
{
  struct stage *s = arg;

  fake_wait_seen(s->server.fake, "EVALSHA", 1, SOON_MS);
  pmx_script_free(s->script);
}

START_TEST(a_script_may_be_given_up_while_it_runs)
{
  struct stage s = {.server = {.delay_ms = 100}};
  struct background *thread;

  stage_open(&s, &ways[_i]);
  thread = background_start(free_script, &s);
  check_int(run_once(&s, NULL), 1);
  background_join(thread);
  s.script = NULL;
  stage_close(&s);
}
END_TEST

/* ---- without SHA-1 ---- */

static atomic_bool no_hash;

int EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size,
               const EVP_MD *type, ENGINE *impl)
{
  int (*real)(const void *, size_t, unsigned char *, unsigned int *, const EVP_MD *, ENGINE *);

  *(void **)&real = dlsym(RTLD_NEXT, "EVP_Digest");
  return !atomic_load(&no_hash) && real(data, count, md, size, type, impl);
}

START_TEST(without_sha1_scripts_are_sent_as_a_whole)
{
  struct stage s = {0};

  stage_open(&s, &ways[_i]);
  pmx_script_free(s.script);
  atomic_store(&no_hash, true); /* TLS has to hash as well */
  s.script = script_of("");
  atomic_store(&no_hash, false);
  check_int(run_once(&s, NULL), 1);
  check_int(run_once(&s, NULL), 1);
  ck_assert_uint_eq(fake_seen(s.server.fake, "EVAL"), 2);
  ck_assert_uint_eq(fake_seen(s.server.fake, "EVALSHA"), 0);
  stage_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("scripts_faults");

  ways_brief();
  add_for_ways(tc, evalsha_and_then_eval_also_without_retries);
  add_for_strategies(tc, only_the_words_of_servers_are_taken_for_theirs);
  add_for_ways(tc, what_may_have_run_is_not_sent_again);
  add_for_ways(tc, what_may_have_run_stays_unknown_when_the_last_try_did_not_run);
  add_for_ways(tc, both_tries_share_one_deadline);
  add_for_ways(tc, a_token_ends_the_second_try_as_well);
  add_for_ways(tc, a_token_may_be_given_up_between_the_tries);
  add_for_ways(tc, a_script_may_be_given_up_while_it_runs);
  add_for_ways(tc, without_sha1_scripts_are_sent_as_a_whole);
  return checks_run("scripts_faults", tc);
}
